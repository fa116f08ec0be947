import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { JournalWrite } from "../../worker/agent/records.ts";
import { JournalFull, openJournal, type Journal } from "../../worker/journal.ts";
import { isFull } from "../../worker/sqlite-errors.ts";

/** A disk of 6 MiB; undefined where this user may not mount one. */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "full-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    // Not root, or not Linux: the caller skips.
    return undefined;
  }
  onTestFinished(() => void execFileSync("umount", [folder]));
  return folder;
}

let seq = 0;
function sixteenKiB(): JournalWrite {
  seq += 1;
  return { write: "report", report: { seq, attempt: `a${seq}`, body: JSON.stringify("x".repeat(16_384)) } };
}

/** Leaves `bytes` on the disk. */
function fill(folder: string, bytes: number, name = "filler"): () => void {
  const file = join(folder, name);
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(file, Buffer.alloc(bavail * bsize - bytes, 1));
  return () => rmSync(file);
}

function writeUntil(journal: Journal, done: () => boolean): void {
  for (let i = 0; i < 1_000 && !done(); i += 1) journal.write([sixteenKiB()]);
}

test("a full disk: the reserve is let go first, then JournalFull, nothing half written, and all is well when there is room", (ctx) => {
  const folder = smallDisk();
  if (folder === undefined) return ctx.skip("this user may not mount a tmpfs");
  const journal = openJournal(folder, { wall: 1 });
  expect(journal.room).toBe(true);
  const free = fill(folder, 65_536);

  writeUntil(journal, () => !journal.room);
  expect(journal.room).toBe(false);
  expect(existsSync(join(folder, "journal.reserve"))).toBe(false);
  const withReserve = journal.reports().length;

  let refused: unknown;
  try {
    writeUntil(journal, () => false);
  } catch (error) {
    refused = error;
  }
  expect(refused).toBeInstanceOf(JournalFull);
  expect((refused as Error).message).toMatch(/the disk of .*journal\.db is full/);
  expect(isFull((refused as Error).cause)).toBe(true);
  // The reserve was worth something, and the write that was refused left nothing.
  const kept = journal.reports().length;
  expect(kept).toBeGreaterThan(withReserve + 20);
  expect(journal.reports().at(-1)?.seq).toBe(seq - 1);

  free();
  journal.write([sixteenKiB()]);
  expect(journal.reports()).toHaveLength(kept + 1);
  expect(journal.room).toBe(true);
  journal.close();

  const again = openJournal(folder, { wall: 1 });
  expect(again.reports()).toHaveLength(kept + 1);
  expect(again.notes).toEqual([]);
  again.close();
});

test("an agent that starts on a full disk counts its start all the same, also the tenth time, and reads what is there", (ctx) => {
  const folder = smallDisk();
  if (folder === undefined) return ctx.skip("this user may not mount a tmpfs");
  const first = openJournal(folder, { wall: 1 });
  first.write([sixteenKiB()]);
  const { journal: id } = first.meta;
  first.close();
  const free = fill(folder, 0);
  for (let n = 2; n <= 11; n += 1) {
    const again = openJournal(folder, { wall: 1 });
    expect(again.meta).toMatchObject({ journal: id, n });
    expect(again.reports()).toHaveLength(1);
    // Ends have it, not the count.
    expect(existsSync(join(folder, "journal.reserve"))).toBe(true);
    again.close();
  }
  // Somebody else has the reserve's room as well by now.
  rmSync(join(folder, "journal.reserve"));
  fill(folder, 0, "more");
  const last = openJournal(folder, { wall: 1 });
  expect(last.meta).toMatchObject({ journal: id, n: 12 });
  expect(last.room).toBe(false);
  expect(() => last.write([sixteenKiB()])).toThrow(JournalFull);
  last.close();
  free();
  const later = openJournal(folder, { wall: 1 });
  expect(later.meta).toMatchObject({ journal: id, n: 13 });
  later.close();
});

test("starts that were counted beside the journal are in it as soon as it can be written: then nothing hangs on that file", (ctx) => {
  const folder = smallDisk();
  if (folder === undefined) return ctx.skip("this user may not mount a tmpfs");
  const first = openJournal(folder, { wall: 1 });
  const { journal: id } = first.meta;
  first.close();
  const free = fill(folder, 0);
  for (let n = 2; n <= 4; n += 1) openJournal(folder, { wall: 1 }).close();
  const fifth = openJournal(folder, { wall: 1 });
  free();
  fifth.write([sixteenKiB()]);
  fifth.close();
  rmSync(join(folder, "journal.starts"));
  const later = openJournal(folder, { wall: 1 });
  expect(later.meta).toMatchObject({ journal: id, n: 6 });
  later.close();
});

test("an agent that makes its first journal on a full disk is told so, in a sentence, and moves nothing aside", (ctx) => {
  const folder = smallDisk();
  if (folder === undefined) return ctx.skip("this user may not mount a tmpfs");
  const free = fill(folder, 0);
  expect(() => openJournal(folder, { wall: 1 })).toThrow(JournalFull);
  free();
  const journal = openJournal(folder, { wall: 1 });
  expect(journal.meta.n).toBe(1);
  expect(journal.notes).toEqual([]);
  journal.close();
});

test("a worker that must make a new journal on a full disk makes it in the room of the reserve, with the term that it has obeyed", (ctx) => {
  const folder = smallDisk();
  if (folder === undefined) return ctx.skip("this user may not mount a tmpfs");
  const journal = openJournal(folder, { wall: 1 });
  const { journal: old } = journal.meta;
  journal.write([{ write: "meta", set: { highestTerm: 7 } }]);
  fill(folder, 0);
  const meta = journal.newJournal();
  expect(meta).toMatchObject({ n: 1, highestTerm: 7 });
  expect(meta.journal).not.toBe(old);
  expect(journal.room).toBe(false);
  journal.close();
  const again = openJournal(folder, { wall: 1 });
  expect(again.meta).toMatchObject({ journal: meta.journal, n: 2, highestTerm: 7 });
  again.close();
});
