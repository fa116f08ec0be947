import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { workerLimits } from "../../schema/limits.ts";
import { unknownRun, type LedgerEntry } from "../../worker/agent/records.ts";
import { openFile } from "../../worker/journal-file.ts";
import { openJournal } from "../../worker/journal.ts";
import { until } from "../kit/until.ts";

const now = { wall: 1_700_000_000_000 };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "journal-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function entry(attempt: string, more: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    attempt,
    run: unknownRun,
    start: 1,
    state: "ended",
    epoch: null,
    order: null,
    process: null,
    startedWall: null,
    stopBy: null,
    timedOut: false,
    timeoutMono: null,
    killMono: null,
    signals: [],
    launchBootId: null,
    end: { how: "stopped", by: "žluťoučký\u0000 ana" },
    endSeq: 1,
    changedWall: 5,
    ...more,
  };
}
const report = (seq: number) => ({ seq, attempt: `a${seq}`, body: `{"at":${seq}}` });
const path = () => join(folder, "journal.db");

test("what was written is on the disk when the call returns: a log that is synced at each commit", () => {
  const { database, close } = openFile(path(), now.wall, []);
  onTestFinished(close);
  const setting = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  // 2 is SQLite's number for FULL.
  expect([setting("journal_mode"), setting("synchronous")]).toEqual(["wal", 2]);
});

test("each opening counts, with the same id; what was written is found again", () => {
  const first = openJournal(folder, now);
  expect(first.meta).toMatchObject({ n: 1, highestTerm: 0, highestAck: 0, nextSeq: 1 });
  expect(first.meta.journal).toMatch(/^[A-Za-z0-9_-]{12}$/);
  first.write([
    { write: "meta", set: { highestTerm: 4 } },
    { write: "entry", entry: entry("a1", { state: "running", end: null }) },
    { write: "entry", entry: entry("a1") },
    { write: "entry", entry: entry("a2") },
    { write: "report", report: report(1) },
    { write: "report", report: report(2) },
    { write: "meta", set: { highestAck: 1 } },
    { write: "acked", seq: 1 },
    { write: "forget", attempts: ["a2"], upTo: 2 },
  ]);
  const id = first.meta.journal;
  first.close();
  const second = openJournal(folder, now);
  expect(second.meta).toEqual({
    journal: id,
    n: 2,
    highestTerm: 4,
    highestAck: 1,
    nextSeq: 3,
    forgottenSeq: 2,
    unheardSeq: null,
  });
  expect(second.entries()).toEqual([entry("a1")]);
  expect(second.reports()).toEqual([report(2)]);
  expect(second.notes).toEqual([]);
  second.close();
});

test("seq goes on after everything was acknowledged, and neither term nor ack ever falls", () => {
  const first = openJournal(folder, now);
  first.write([
    { write: "report", report: report(1) },
    { write: "meta", set: { highestAck: 1, highestTerm: 9 } },
    { write: "acked", seq: 1 },
  ]);
  first.write([{ write: "meta", set: { highestAck: 0, highestTerm: 3 } }]);
  first.close();
  const second = openJournal(folder, now);
  expect(second.meta).toMatchObject({ highestTerm: 9, highestAck: 1, nextSeq: 2 });
  second.close();
});

test("one write is all or nothing", () => {
  const journal = openJournal(folder, now);
  journal.write([{ write: "report", report: report(1) }]);
  expect(() =>
    journal.write([
      { write: "entry", entry: entry("a1") },
      { write: "report", report: report(1) },
    ]),
  ).toThrow(/UNIQUE/);
  expect(journal.entries()).toEqual([]);
  journal.write([{ write: "entry", entry: entry("a1") }]);
  expect(journal.entries()).toHaveLength(1);
  journal.close();
});

test("every write forces the disk: WAL with synchronous=FULL, for nobody but this agent", () => {
  const journal = openJournal(folder, now);
  expect(() => new DatabaseSync(path()).exec("SELECT * FROM meta")).toThrow(/locked/);
  expect(() => openJournal(folder, now)).toThrow(/another process has .*journal\.db open/);
  expect(existsSync(`${path()}-wal`)).toBe(true);
  journal.close();
});

test("a journal of the first release is brought up to date with all that it holds", () => {
  const first = openJournal(folder, now);
  first.write([
    { write: "entry", entry: entry("a1") },
    { write: "report", report: report(1) },
  ]);
  const { journal: id } = first.meta;
  first.close();
  const database = new DatabaseSync(path());
  database.exec("ALTER TABLE meta DROP COLUMN forgotten_seq; ALTER TABLE meta DROP COLUMN unheard_seq; PRAGMA user_version = 1");
  database.close();
  const second = openJournal(folder, now);
  expect(second.meta).toMatchObject({ journal: id, n: 2, nextSeq: 2, forgottenSeq: 0, unheardSeq: null });
  expect(second.entries()).toEqual([entry("a1")]);
  second.write([
    { write: "forget", attempts: ["a1"], upTo: 9 },
    { write: "unheard", seq: 0 },
  ]);
  second.close();
  const third = openJournal(folder, now);
  expect(third.meta).toMatchObject({ n: 3, forgottenSeq: 9, unheardSeq: 0 });
  third.write([{ write: "unheard", seq: null }]);
  expect(third.durable().meta).toMatchObject({ unheardSeq: null });
  third.close();
});

test("a journal of a newer Muster is left as it is, and the sentence says what to do", () => {
  openJournal(folder, now).close();
  const database = new DatabaseSync(path());
  database.exec("PRAGMA user_version = 4");
  database.close();
  expect(() => openJournal(folder, now)).toThrow(
    /journal\.db has version 4, and this Muster knows up to 3: start the newer Muster/,
  );
  expect(readdirSync(folder).filter((name) => name.includes("corrupt"))).toEqual([]);
});

test.each<[string, (file: string) => void]>([
  ["not a database at all", (file) => writeFileSync(file, "these are not the pages that you look for".repeat(200))],
  ["cut in the middle of a page", (file) => truncateSync(file, statSync(file).size - 5_000)],
  [
    "pages overwritten",
    (file) =>
      writeFileSync(file, Buffer.concat([readFileSync(file).subarray(0, 4_096), Buffer.alloc(statSync(file).size - 4_096, 7)])),
  ],
  [
    "a header that forbids writing",
    (file) => {
      const bytes = readFileSync(file);
      // Bytes 18 and 19: the versions that may write and read it (https://sqlite.org/fileformat.html).
      bytes[18] = 7;
      writeFileSync(file, bytes);
    },
  ],
  [
    "rows that are no JSON",
    (file) => {
      const database = new DatabaseSync(file);
      database.exec("UPDATE ledger SET entry = 'x'");
      database.close();
    },
  ],
])("malformed (%s): moved aside, told, and a new journal with a new id", (_, harm) => {
  const first = openJournal(folder, now);
  first.write(Array.from({ length: 200 }, (__, i) => ({ write: "entry" as const, entry: entry(`a${i}`) })));
  const id = first.meta.journal;
  first.close();
  harm(path());
  const second = openJournal(folder, now);
  expect(second.meta).toMatchObject({ n: 1, nextSeq: 1 });
  expect(second.meta.journal).not.toBe(id);
  expect(second.entries()).toEqual([]);
  expect(second.notes).toEqual([expect.stringMatching(/journal\.db was malformed .* is now .*journal\.db\.corrupt-1/)]);
  second.close();
  expect(existsSync(`${path()}.corrupt-1`)).toBe(true);
});

test("of the files moved aside the newest few are kept", () => {
  for (let i = 0; i < workerLimits.journalsAside + 3; i += 1) {
    writeFileSync(path(), "no database".repeat(1_000));
    openJournal(folder, now).close();
  }
  expect(
    readdirSync(folder)
      .filter((name) => name.includes("corrupt"))
      .toSorted(),
  ).toEqual([4, 5, 6, 7, 8].map((n) => `journal.db.corrupt-${n}`));
});

test("a torn tail of the WAL costs the torn transaction and nothing before it", () => {
  const first = openJournal(folder, now);
  first.write([{ write: "entry", entry: entry("a1") }]);
  first.write([{ write: "entry", entry: entry("a2") }]);
  const wal = readFileSync(`${path()}-wal`);
  const pages = readFileSync(path());
  first.close();
  const torn = mkdtempSync(join(tmpdir(), "journal-"));
  try {
    writeFileSync(join(torn, "journal.db"), pages);
    writeFileSync(join(torn, "journal.db-wal"), wal.subarray(0, wal.length - 700));
    const second = openJournal(torn, now);
    expect(second.entries().map((one) => one.attempt)).toEqual(["a1"]);
    expect(second.notes).toEqual([]);
    second.close();
  } finally {
    rmSync(torn, { recursive: true, force: true });
  }
});

test("a new journal: a new id that counts from 1, the old file aside, and the highest term obeyed goes with it", () => {
  const journal = openJournal(folder, now);
  const id = journal.meta.journal;
  journal.write([
    { write: "meta", set: { highestTerm: 6, highestAck: 0 } },
    { write: "entry", entry: entry("a1") },
    { write: "report", report: report(1) },
  ]);
  const meta = journal.newJournal();
  expect(meta).toEqual({
    journal: expect.not.stringMatching(id),
    n: 1,
    highestTerm: 6,
    highestAck: 0,
    nextSeq: 1,
    forgottenSeq: 0,
    unheardSeq: null,
  });
  expect(journal.meta).toEqual(meta);
  expect([journal.entries(), journal.reports()]).toEqual([[], []]);
  journal.write([{ write: "entry", entry: entry("b1") }]);
  journal.close();
  const again = openJournal(folder, now);
  expect(again.meta).toMatchObject({ journal: meta.journal, n: 2 });
  expect(again.entries()).toHaveLength(1);
  again.close();
  expect(existsSync(`${path()}.replaced-1`)).toBe(true);
});

test("kill -9 in the middle of writing: what a write had returned for is there, and the next agent counts on", async () => {
  const writer = spawn(process.execPath, [join(import.meta.dirname, "journal-writer.ts"), folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void writer.kill("SIGKILL"));
  const gone = new Promise<void>((resolve) => writer.once("exit", () => resolve()));
  let told = "";
  writer.stdout.on("data", (chunk: Buffer) => (told += chunk.toString()));
  await until("300 writes, each forced to the disk, which alone says how fast", () => told.split("\n").length > 300, 60_000);
  writer.kill("SIGKILL");
  await gone;
  const lines = told.split("\n");
  // The last line may be cut, and then its write may or may not have been told.
  const returned = Number(lines.at(-2));
  const journal = openJournal(folder, now);
  const seqs = journal.reports().map((one) => one.seq);
  expect(seqs.length).toBeGreaterThanOrEqual(returned);
  expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i + 1));
  expect(journal.entries()).toHaveLength(seqs.length);
  expect(journal.meta).toMatchObject({ n: 2, nextSeq: seqs.length + 1 });
  expect(journal.notes).toEqual([]);
  journal.close();
}, 90_000);

test("the reserve lies there as real bytes", () => {
  const journal = openJournal(folder, now);
  expect(journal.room).toBe(true);
  const { size, blocks } = statSync(join(folder, "journal.reserve"));
  expect(size).toBe(workerLimits.journalReserveBytes);
  expect(blocks * 512).toBeGreaterThanOrEqual(size);
  journal.close();
});

test("is readable to its own user alone: it holds what tasks were given", () => {
  openJournal(folder, now).close();
  expect((statSync(path()).mode & 0o777).toString(8)).toBe("600");
});
