import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openJournal } from "../../worker/journal.ts";
import { countInPlace, startsIn } from "../../worker/journal-starts.ts";

const now = { wall: 1_700_000_000_000 };

test("starts that only the file beside the journal could count are counted on; a torn count, or another journal's, is none", () => {
  const folder = mkdtempSync(join(tmpdir(), "starts-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const first = openJournal(folder, now);
  const { journal: id } = first.meta;
  first.close();
  const starts = join(folder, "journal.starts");
  expect(countInPlace(starts, id, 7)).toBe(true);
  expect(countInPlace(starts, id, 8)).toBe(true);
  const places = readFileSync(starts);
  openJournal(folder, now).close();
  expect(startsIn(starts, id)).toBe(9);
  places.write("?", places.indexOf('"n":8') + 4);
  writeFileSync(starts, places);
  expect(startsIn(starts, id)).toBe(7);
  expect(startsIn(starts, "anotherone00")).toBe(0);
  writeFileSync(starts, "");
  expect(startsIn(starts, id)).toBe(0);
  rmSync(starts);
  expect(countInPlace(starts, id, 10)).toBe(false);
  const last = openJournal(folder, now);
  expect(last.meta).toMatchObject({ journal: id, n: 10 });
  expect(startsIn(starts, id)).toBe(10);
  last.close();
});
