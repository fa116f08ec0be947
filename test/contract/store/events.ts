import { describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import type { EventRecord } from "../../../manager/control/records.ts";
import type { EventFilter, Store } from "../../../manager/store/store.ts";
import { eventKinds, type EventKind } from "../../../schema/event.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { event, lead, pool } from "./rows.ts";

function manyEvents(): EventRecord[] {
  return Array.from({ length: 120 }, (_, at) =>
    event({
      pool: at % 3 === 0 ? "b" : pool,
      number: at + 1,
      // The clock of pool b is set back once.
      at: 1_000 + at - (at % 3 === 0 && at > 60 ? 50 : 0),
      kind: eventKinds[(at * 5) % eventKinds.length] ?? "gap",
      runId: at % 4 === 0 ? `r${at % 5}` : null,
      taskId: at % 2 === 0 ? `t${at % 3}` : null,
      workerId: at % 7 === 0 ? "w1" : null,
    }),
  );
}

async function filled(store: Store): Promise<EventRecord[]> {
  const rows = manyEvents();
  const a = await lead(store);
  const b = await lead(store, "b");
  const inserts = (ofPool: string) =>
    rows.filter((row) => row.pool === ofPool).map((row): Change => ({ op: "insertEvent", row }));
  await a.commit(...inserts(pool));
  await b.commit(...inserts("b"));
  return rows;
}

/** Reads to the end as a follower does: the vector goes on with each event that it was given. */
async function follow(store: Store, filter: Partial<EventFilter>, limit: number): Promise<EventRecord[]> {
  const seen: EventRecord[] = [];
  const after: Record<string, number> = { ...filter.after };
  for (;;) {
    const events = await store.events({ ...filter, limit, after });
    if (events.length === 0) return seen;
    for (const one of events) {
      expect(one.number).toBeGreaterThan(after[one.pool] ?? 0);
      after[one.pool] = one.number;
      seen.push(one);
    }
  }
}

const byPoolAndNumber = (a: EventRecord, b: EventRecord): number =>
  a.pool === b.pool ? a.number - b.number : a.pool < b.pool ? -1 : 1;

export function eventContract(open: OpenForTest): void {
  describe("events", () => {
    test("are given for each filter, every one once, from any vector on", async () => {
      const { store } = await openFor(open);
      const rows = await filled(store);
      const filters: { filter: Partial<EventFilter>; keep: (row: EventRecord) => boolean }[] = [
        { filter: {}, keep: () => true },
        { filter: { after: { [pool]: 50 } }, keep: (row) => row.pool === "b" || row.number > 50 },
        { filter: { after: { [pool]: 1_000, b: 70 } }, keep: (row) => row.pool === "b" && row.number > 70 },
        { filter: { runId: "r4" }, keep: (row) => row.runId === "r4" },
        { filter: { taskId: "t1" }, keep: (row) => row.taskId === "t1" },
        { filter: { workerId: "w1" }, keep: (row) => row.workerId === "w1" },
        {
          filter: { kinds: ["taskCreated", "alarm", "alarm"] },
          keep: (row) => row.kind === "taskCreated" || row.kind === "alarm",
        },
        { filter: { kinds: [] }, keep: () => false },
        {
          filter: { taskId: "t0", kinds: [...eventKinds].slice(0, 9) },
          keep: (row) => row.taskId === "t0" && eventKinds.indexOf(row.kind) < 9,
        },
        {
          filter: { runId: "r0", taskId: "t0", workerId: "w1" },
          keep: (row) => row.runId === "r0" && row.taskId === "t0" && row.workerId === "w1",
        },
      ];
      for (const { filter, keep } of filters) {
        for (const limit of [1, 8, 500]) {
          const seen = await follow(store, filter, limit);
          expect(seen.toSorted(byPoolAndNumber), JSON.stringify({ filter, limit })).toEqual(
            rows.filter(keep).toSorted(byPoolAndNumber),
          );
        }
      }
    });

    test("come oldest first, never out of a pool's own order", async () => {
      const { store } = await openFor(open);
      const a = await lead(store);
      const b = await lead(store, "b");
      await a.commit(
        ...[
          [1, 100],
          [2, 300],
        ].map(([number = 0, at = 0]): Change => ({ op: "insertEvent", row: event({ number, at }) })),
      );
      await b.commit(
        ...[
          [1, 200],
          [2, 50],
          [3, 250],
        ].map(([number = 0, at = 0]): Change => ({ op: "insertEvent", row: event({ pool: "b", number, at }) })),
      );
      const all = await store.events({ limit: 10, after: {} });
      expect(all.map((one) => `${one.pool}:${one.number}`)).toEqual([`${pool}:1`, "b:1", "b:2", "b:3", `${pool}:2`]);
      expect(await store.events({ limit: 2, after: {} })).toEqual(all.slice(0, 2));
    });

    test("of one run in one commit, which a store may write as one row, are given one by one", async () => {
      const { store } = await openFor(open);
      const { commit } = await lead(store);
      const kindsOfLife: readonly EventKind[][] = [
        ["runQueued", "attemptSent"],
        ["attemptAccepted", "attemptRunning"],
        ["attemptAccepted", "attemptEnded", "runEnded"],
        ["attemptRunning", "attemptEnded", "runEnded"],
        ["attemptAccepted", "attemptRunning", "attemptEnded", "runEnded"],
        ["attemptEnded", "runEnded"],
        ["attemptEnded", "runRetrying"],
        ["runQueued", "attemptSent", "attemptSent"],
      ];
      const rows: EventRecord[] = [];
      for (const [at, kinds] of kindsOfLife.entries()) {
        const batch = kinds.map((kind, i) => {
          const attempt = kind.startsWith("attempt");
          return event({
            number: rows.length + i + 1,
            at: 1_000 + rows.length + i,
            kind,
            runId: `r${at}`,
            taskId: "t",
            attemptId: attempt ? `a${at}` : null,
            // The last row's two attempts are on two workers.
            workerId: kind === "runQueued" ? null : `w${i === 2 && at === 7 ? 2 : 1}`,
            by: kind === "runQueued" ? "somebody" : null,
            data: { i, text: `"${kind}" 😀` },
          });
        });
        rows.push(...batch);
        await commit(...batch.map((row): Change => ({ op: "insertEvent", row })));
      }
      expect(await store.lastEvents()).toEqual({ [pool]: rows.length });
      expect((await store.loadLive(pool)).lastEvent).toBe(rows.length);
      const filters: Partial<EventFilter>[] = [
        {},
        ...kindsOfLife.flat().map((kind) => ({ kinds: [kind] })),
        { kinds: ["runQueued", "runEnded"] },
        { runId: "r4" },
        { runId: "r4", kinds: ["attemptEnded"] },
        { workerId: "w1" },
        { workerId: "w2" },
        { workerId: "w1", kinds: ["runQueued"] },
        { taskId: "t", kinds: ["attemptSent"] },
      ];
      for (const filter of filters) {
        const kept = rows.filter(
          (row) =>
            (filter.kinds?.includes(row.kind) ?? true) &&
            (filter.runId === undefined || row.runId === filter.runId) &&
            (filter.workerId === undefined || row.workerId === filter.workerId),
        );
        for (const limit of [1, 2, 100]) expect(await follow(store, filter, limit), JSON.stringify(filter)).toEqual(kept);
        for (const { number } of rows)
          expect(await store.events({ limit: 100, after: { [pool]: number }, ...filter })).toEqual(
            kept.filter((row) => row.number > number),
          );
      }
    });

    test("know the newest number of each pool", async () => {
      const { store } = await openFor(open);
      expect(await store.lastEvents()).toEqual({});
      await filled(store);
      await lead(store, "empty");
      expect(await store.lastEvents()).toEqual({ [pool]: 120, b: 118, empty: 0 });
    });
  });
}
