/** Bytes that go bad on the disk: what the journal holds after that was written by an agent, or is not there. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openRow, sealRow } from "../../worker/journal-rows.ts";
import { openJournal } from "../../worker/journal.ts";
import { unknownRun, type LedgerEntry } from "../../worker/agent/records.ts";

const entry = (attempt: string): LedgerEntry => ({
  attempt,
  run: unknownRun,
  start: 1,
  state: "running",
  epoch: "e",
  order: null,
  process: { pid: 5, startTicks: 6, bootId: "b" },
  startedWall: 7,
  stopBy: null,
  timedOut: false,
  timeoutMono: null,
  killMono: null,
  signals: [],
  launchBootId: "b",
  end: null,
  endSeq: 0,
  changedWall: 5,
});
const body = (seq: number): string => JSON.stringify({ kind: "end", attempt: `a${seq}`, end: { how: "exited", code: seq } });
const count = 40;

/** The files of a journal, as kill -9 leaves them and as a goodbye does. */
function journals(): readonly ReadonlyMap<string, Buffer>[] {
  const folder = mkdtempSync(join(tmpdir(), "journal-rows-"));
  const files = (): ReadonlyMap<string, Buffer> =>
    new Map(
      ["journal.db", "journal.db-wal"].flatMap((name) =>
        existsSync(join(folder, name)) ? [[name, readFileSync(join(folder, name))] as const] : [],
      ),
    );
  const journal = openJournal(folder, { wall: 1 });
  for (let seq = 1; seq <= count; seq += 1)
    journal.write([
      { write: "entry", entry: entry(`a${seq}`) },
      { write: "report", report: { seq, attempt: `a${seq}`, body: body(seq) } },
    ]);
  const killed = files();
  journal.close();
  const closed = files();
  rmSync(folder, { recursive: true });
  return [killed, closed];
}

test("of 40 journals with broken bytes none gives a row that was not written, and each opens or says why in a sentence", () => {
  // Park and Miller: the same breaks each time.
  let seed = 20_261_121;
  const below = (n: number): number => (seed = (seed * 48_271) % 2_147_483_647) % n;
  const kinds = journals();
  for (let round = 0; round < 40; round += 1) {
    const folder = mkdtempSync(join(tmpdir(), "journal-rows-"));
    const files = kinds[round % 2] as ReadonlyMap<string, Buffer>;
    for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
    const [name, sound] = [...files][below(files.size)] as readonly [string, Buffer];
    const bytes = round % 5 === 0 ? sound.subarray(0, below(sound.length)) : Buffer.from(sound);
    if (round % 5 !== 0) for (let i = below(3); i >= 0; i -= 1) bytes[below(bytes.length)] = below(256);
    writeFileSync(join(folder, name), bytes);
    try {
      const journal = openJournal(folder, { wall: 2 });
      for (const one of journal.entries()) expect(one).toMatchObject(entry(one.attempt));
      for (const one of journal.reports()) expect(JSON.parse(one.body)).toMatchObject(JSON.parse(body(one.seq)));
      journal.close();
    } catch (error) {
      expect((error as Error).message).toMatch(/has version [0-9]+, and this Muster knows up to/);
    }
    rmSync(folder, { recursive: true });
  }
});

test("a row is sealed under its own key, and one of an earlier build is taken as it is", () => {
  const sealed = sealRow("a1", '{"state":"running"}');
  expect(JSON.parse(sealed)).toEqual({ state: "running", sum: expect.any(Number) });
  expect(openRow("a1", sealed)).toBe('{"state":"running"}');
  expect(() => openRow("a2", sealed)).toThrow("the row of a2 is not as it was written");
  expect(() => openRow("a1", sealed.replace("running", "stunned"))).toThrow("not as it was written");
  expect(openRow("a1", '{"state":"running"}')).toBe('{"state":"running"}');
});
