import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import { openConnections } from "../../../manager/store/mariadb/connection.ts";
import { openMariadbStore } from "../../../manager/store/mariadb/store.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import { StoreError, type Store } from "../../../manager/store/store.ts";
import { eventKinds } from "../../../schema/event.ts";
import { attemptStates, runStates } from "../../../schema/run.ts";
import { workerStates } from "../../../schema/worker.ts";
import { attempt, event, key, lead, pool, run, setAside, task, version, worker } from "../../contract/store/rows.ts";
import { MariadbServer, mariadbMissing } from "../../kit/mariadb.ts";

/** Few ids, so that changes meet each other: repeated rows, updates of rows that are not there, names taken and freed. */
const n = fc.integer({ min: 1, max: 4 });
const pools = fc.constantFrom(pool, "b");
const labels = fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("1", "2", "A", "é"), { maxKeys: 2 });
const runState = fc.constantFrom(...runStates);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const set = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>;

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ id: n, name: n, of: pools, labels }).map((v): Change => ({
    op: "insertTask",
    row: task({ id: `t${v.id}`, name: `n${v.name}`, pool: v.of, labels: v.labels, createdAt: v.name }),
  })),
  fc
    .tuple(n, set({ name: n.map((v) => `n${v}`), labels, deleted: fc.boolean(), version: n }))
    .map(([id, v]): Change => ({ op: "updateTask", id: `t${id}`, set: v })),
  fc.tuple(n, n).map(([id, v]): Change => ({ op: "insertVersion", row: version({ taskId: `t${id}`, version: v }) })),
  fc
    .record({
      id: fc.integer({ min: 1, max: 9 }),
      of: pools,
      state: runState,
      taskId: n,
      labels,
      at: n,
    })
    .map((v): Change => ({
      op: "insertRun",
      row: run({
        id: `r${v.id}`,
        order: 10 - v.id,
        pool: v.of,
        state: v.state,
        taskId: `t${v.taskId}`,
        labels: v.labels,
        createdAt: v.at,
      }),
    })),
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), set({ state: runState, workerId: n.map((v) => `w${v}`), tries: n }))
    .map(([id, v]): Change => ({ op: "updateRun", id: `r${id}`, set: v })),
  fc.record({ id: n, runId: n, number: n, state: fc.constantFrom(...attemptStates) }).map((v): Change => ({
    op: "insertAttempt",
    row: attempt({ id: `a${v.id}`, runId: `r${v.runId}`, number: v.number, state: v.state, sentAt: v.id }),
  })),
  fc
    .tuple(n, fc.constantFrom(...attemptStates))
    .map(([id, state]): Change => ({ op: "updateAttempt", id: `a${id}`, set: { state } })),
  fc.record({ id: n, of: pools, ownLabels: labels, apiLabels: labels }).map((v): Change => ({
    op: "insertWorker",
    row: worker({ id: `w${v.id}`, pool: v.of, ownLabels: v.ownLabels, apiLabels: v.apiLabels }),
  })),
  fc
    .tuple(n, set({ state: fc.constantFrom(...workerStates), ownLabels: labels, apiLabels: labels }))
    .map(([id, v]): Change => ({ op: "updateWorker", id: `w${id}`, set: v })),
  fc
    .tuple(n, n, n)
    .map(([w, j, applied]): Change => ({ op: "insertJournal", row: { workerId: `w${w}`, journal: `j${j}`, applied } })),
  fc.tuple(n, n, n).map(([w, j, applied]): Change => ({ op: "updateJournal", workerId: `w${w}`, journal: `j${j}`, applied })),
  fc
    .record({
      number: fc.integer({ min: 1, max: 50 }),
      of: pools,
      kind: fc.constantFrom(...eventKinds.slice(0, 4)),
      runId: maybe(n),
      at: n,
    })
    .map((v): Change => ({
      op: "insertEvent",
      row: event({ number: v.number, pool: v.of, kind: v.kind, runId: v.runId ? `r${v.runId}` : null, at: v.at }),
    })),
  fc.tuple(n, n, n).map(([t, k, at]): Change => ({ op: "insertKey", row: key({ taskId: `t${t}`, key: `k${k}`, at }) })),
  n.map((before): Change => ({ op: "deleteKeys", before })),
  fc.tuple(n, n).map(([id, at]): Change => ({ op: "insertSetAside", row: setAside({ id: `s${id}`, at }) })),
);

/** Everything that a store can be asked, of everything that the changes above can have made. */
async function answers(store: Store): Promise<unknown> {
  const four = [1, 2, 3, 4];
  const page = { limit: 3, cursor: null };
  const label = { key: "a", value: "1" };
  const second = async (list: "runs" | "tasks" | "workers") =>
    await store[list]({ ...page, cursor: (await store[list](page)).next });
  return {
    live: [await store.loadLive(pool), await store.loadLive("b")],
    needs: await store.load(pool, [
      ...four.flatMap((at) => [
        { need: "task", id: `t${at}` } as const,
        { need: "taskByName", pool: "b", name: `n${at}` } as const,
        { need: "version", taskId: `t${at}`, version: at } as const,
        { need: "run", id: `r${at}` } as const,
        { need: "key", taskId: `t${at}`, key: "k1" } as const,
        { need: "liveRunsOfTask", taskId: `t${at}`, limit: 3 } as const,
      ]),
      { need: "queuePage", after: 2, limit: 3 },
      { need: "attempts", ids: ["a3", "a1"] },
    ]),
    tasks: [
      await store.tasks(page),
      await second("tasks"),
      await store.tasks({ ...page, label }),
      await store.tasks({ ...page, name: "n1" }),
    ],
    runs: [
      await store.runs(page),
      await second("runs"),
      await store.runs({ ...page, label }),
      await store.runs({ ...page, taskId: "t1", states: ["queued", "failed"] }),
      await store.runs({ ...page, workerId: "w1", since: 2 }),
    ],
    workers: [
      await store.workers(page),
      await second("workers"),
      await store.workers({ ...page, label }),
      await store.workers({ ...page, states: ["online", "lost"] }),
    ],
    last: [await store.lastRun("t1"), await store.lastEvents()],
    events: [
      await store.events({ limit: 9, after: {} }),
      await store.events({ limit: 9, after: { b: 5 }, runId: "r1" }),
      await store.events({ limit: 9, after: {}, kinds: ["taskCreated", "taskChanged"] }),
    ],
    setAside: await store.setAside(9),
    leases: [await store.readLease(pool), await store.readLease("b")],
  };
}

async function outcome(commit: Promise<unknown>): Promise<unknown> {
  return await commit.catch((error: unknown) =>
    error instanceof StoreError ? `${error.kind}, known: ${error.outcomeKnown}` : error,
  );
}

test("any batches leave memory and SQLite alike: same outcomes, same answers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 25 }), async (batches) => {
      await using memory = openMemoryStore();
      await using sqlite = await openSqliteStore({ file: ":memory:" });
      const leaders = [await lead(memory), await lead(sqlite)] as const;
      for (const store of [memory, sqlite]) await lead(store, "b");
      for (const changes of batches) {
        const [mine, theirs] = [await outcome(leaders[0].commit(...changes)), await outcome(leaders[1].commit(...changes))];
        expect(theirs).toEqual(mine);
      }
      expect(await answers(sqlite)).toEqual(await answers(memory));
    }),
    { numRuns: 150, seed: 20_261_120 },
  );
});

test("any batches leave memory and MariaDB alike", async (ctx) => {
  const missing = mariadbMissing();
  if (missing !== undefined) return ctx.skip(missing);
  await using server = await MariadbServer.start();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 25 }), async (batches) => {
      await using memory = openMemoryStore();
      await using mariadb = await openMariadbStore(await openConnections(await server.database()));
      const leaders = [await lead(memory), await lead(mariadb)] as const;
      for (const store of [memory, mariadb]) await lead(store, "b");
      for (const changes of batches) {
        const [mine, theirs] = [await outcome(leaders[0].commit(...changes)), await outcome(leaders[1].commit(...changes))];
        expect(theirs).toEqual(mine);
      }
      expect(await answers(mariadb)).toEqual(await answers(memory));
    }),
    { numRuns: 15, seed: 20_261_121 },
  );
}, 120_000);
