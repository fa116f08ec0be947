import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import { codecsOf } from "../../../manager/store/codecs.ts";
import { openSqliteFile, type SqliteFile } from "../../../manager/store/sqlite/file.ts";
import { sqliteReads } from "../../../manager/store/sqlite/reads.ts";
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import type { EventFilter, ReadStore } from "../../../manager/store/store.ts";
import * as tables from "../../../manager/store/tables/sqlite.ts";
import { eventKinds, type EventKind } from "../../../schema/event.ts";
import { event, lead, pool } from "../../contract/store/rows.ts";

const kindsOfRun: readonly EventKind[] = [
  "runQueued",
  "attemptSent",
  "attemptAccepted",
  "attemptRunning",
  "attemptEnded",
  "runEnded",
];
const runsOfWorker = 400;
const limit = 10;

/** A run's life in three commits, each of which may be one row. */
function life(at: number): Change[][] {
  const rows = kindsOfRun.map((kind, i): Change => {
    const about = kind === "runQueued" ? {} : { workerId: "w1", attemptId: kind.startsWith("attempt") ? `a${at}` : null };
    const number = at * kindsOfRun.length + i + 1;
    return { op: "insertEvent", row: event({ number, kind, runId: `r${at}`, taskId: "t", ...about }) };
  });
  return [rows.slice(0, 2), rows.slice(2, 4), rows.slice(4)];
}

describe("a page of the events of a worker with a long history", () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-events-"));
  let file: SqliteFile;
  let reads: ReadStore;
  let rowsRead = 0;

  beforeAll(async () => {
    const path = join(folder, "muster.db");
    const store = await openSqliteStore({ file: path });
    const { commit } = await lead(store);
    const lives = Array.from({ length: runsOfWorker }, (_, at) => life(at));
    await commit(...lives.flat(2));
    await store[Symbol.asyncDispose]();
    file = openSqliteFile(path, 0);
    const all: SqliteFile["all"] = (text, values) => {
      const rows = file.all(text, values);
      rowsRead += rows.length;
      return rows;
    };
    reads = sqliteReads({ ...file, all }, codecsOf(tables));
  });
  afterAll(() => {
    file.close();
    rmSync(folder, { recursive: true });
  });

  const filters: readonly Partial<EventFilter>[] = [
    {},
    ...eventKinds.map((kind) => ({ kinds: [kind] })),
    { kinds: ["runQueued", "runEnded"] },
  ];

  test.for(filters)("by $kinds reads as many rows as it has events, and a few", async (filter) => {
    for (const after of [0, 1_200, 2_395]) {
      rowsRead = 0;
      const found = await reads.events({ limit, after: { [pool]: after }, workerId: "w1", ...filter });
      const left = life(0)
        .flat()
        .flatMap((change) => (change.op === "insertEvent" ? [change.row] : []))
        .filter((row) => row.workerId !== null && (filter.kinds?.includes(row.kind) ?? true)).length;
      if (after < 2_000) expect(found.length).toBe(left === 0 ? 0 : limit);
      expect(rowsRead).toBeLessThan(2 * limit);
    }
  });
});

test("a filter that an index serves in part walks a bounded stretch in one statement, and finds what lies far off", async () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-events-"));
  const path = join(folder, "muster.db");
  const store = await openSqliteStore({ file: path });
  const { commit } = await lead(store);
  const rows = [1, 2, 60_000, 1_000_000, 1_000_001, 9_000_000].map((number) =>
    event({
      number,
      kind: number % 2 === 0 ? "attemptEnded" : "workerLost",
      runId: null,
      taskId: `t${number % 3}`,
      workerId: "w1",
    }),
  );
  await commit(...rows.map((row): Change => ({ op: "insertEvent", row })));
  await store[Symbol.asyncDispose]();
  const file = openSqliteFile(path, 0);
  const spans: number[] = [];
  const all: SqliteFile["all"] = (text, values) => {
    const [from, to] = values.filter((value) => typeof value === "number");
    if (text.includes("<=")) spans.push(Number(to) - Number(from));
    return file.all(text, values);
  };
  const reads = sqliteReads({ ...file, all }, codecsOf(tables));
  for (const filter of [
    { kinds: ["attemptEnded"] as const },
    { taskId: "t1" },
    { taskId: "t0", kinds: ["attemptEnded"] as const },
  ]) {
    spans.length = 0;
    expect((await reads.events({ limit: 50, after: {}, workerId: "w1", ...filter })).map((one) => one.number)).toEqual(
      rows
        .filter((row) => !("taskId" in filter) || row.taskId === filter.taskId)
        .filter((row) => !("kinds" in filter) || row.kind === "attemptEnded")
        .map((row) => row.number),
    );
    expect(spans).toHaveLength(4);
    expect(Math.max(...spans)).toBeLessThanOrEqual(20_000);
  }
  file.close();
  rmSync(folder, { recursive: true });
});
