import { describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import { StoreError, type Store } from "../../../manager/store/store.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { attempt, event, key, lead, pool, run, setAside, task, version, worker } from "./rows.ts";

/** Every row that another of the same key may not follow. */
const inserts: readonly { readonly name: string; readonly first: Change; readonly second: Change }[] = [
  { name: "task id", first: { op: "insertTask", row: task() }, second: { op: "insertTask", row: task({ name: "other" }) } },
  {
    name: "task name in the pool",
    first: { op: "insertTask", row: task() },
    second: { op: "insertTask", row: task({ id: "t2" }) },
  },
  { name: "version", first: { op: "insertVersion", row: version() }, second: { op: "insertVersion", row: version({ by: "x" }) } },
  { name: "run id", first: { op: "insertRun", row: run() }, second: { op: "insertRun", row: run({ order: 2 }) } },
  {
    name: "attempt id",
    first: { op: "insertAttempt", row: attempt() },
    second: { op: "insertAttempt", row: attempt({ number: 2 }) },
  },
  {
    name: "attempt number of the run",
    first: { op: "insertAttempt", row: attempt() },
    second: { op: "insertAttempt", row: attempt({ id: "a2" }) },
  },
  { name: "worker id", first: { op: "insertWorker", row: worker() }, second: { op: "insertWorker", row: worker({ pool: "b" }) } },
  {
    name: "journal",
    first: { op: "insertJournal", row: { workerId: "w1", journal: "j1", applied: 0 } },
    second: { op: "insertJournal", row: { workerId: "w1", journal: "j1", applied: 1 } },
  },
  {
    name: "event number",
    first: { op: "insertEvent", row: event() },
    second: { op: "insertEvent", row: event({ kind: "gap" }) },
  },
  {
    name: "idempotency key of the task",
    first: { op: "insertKey", row: key() },
    second: { op: "insertKey", row: key({ runId: "r2" }) },
  },
  {
    name: "row set aside",
    first: { op: "insertSetAside", row: setAside() },
    second: { op: "insertSetAside", row: setAside({ raw: "" }) },
  },
];

/** Every update, of rows that are not there. */
const updates: readonly Change[] = [
  { op: "updateTask", id: "none", set: { version: 2 } },
  { op: "updateRun", id: "none", set: { state: "lost" } },
  { op: "updateAttempt", id: "none", set: { state: "ended" } },
  { op: "updateWorker", id: "none", set: { draining: true } },
  { op: "updateJournal", workerId: "none", journal: "j", applied: 1 },
];

/** The error of a commit that must not hold. */
export async function refusal(promise: Promise<unknown>): Promise<StoreError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

/** Everything of the store that these tests write, to compare before and after. */
async function everything(store: Store): Promise<unknown> {
  const all = { limit: 200, cursor: null };
  return {
    lease: await store.readLease(pool),
    tasks: (await store.tasks(all)).items,
    runs: (await store.runs(all)).items,
    labelled: (await store.runs({ ...all, label: { key: "a", value: "b" } })).items,
    workers: (await store.workers(all)).items,
    events: await store.events({ limit: 200, after: {} }),
    setAside: await store.setAside(200),
    live: await store.loadLive(pool),
    loaded: await store.load(pool, [
      { need: "version", taskId: "t1", version: 1 },
      { need: "key", taskId: "t1", key: "k1" },
      { need: "key", taskId: "t1", key: "old" },
    ]),
    attempt: await store.attempt("a1"),
  };
}

export function refusalContract(open: OpenForTest): void {
  describe("a change that cannot be", () => {
    test.for(inserts)("that repeats a $name is refused for good, and the batch with it", async ({ first, second }) => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit(first, { op: "insertKey", row: key({ key: "old", at: 1 }) });
      const before = await everything(store);
      const marks: Change[] = [
        { op: "insertTask", row: task({ id: "mark", name: "mark", labels: { a: "b" } }) },
        { op: "insertRun", row: run({ id: "mark", order: 99, labels: { a: "b" } }) },
        { op: "insertEvent", row: event({ number: 99 }) },
        { op: "deleteKeys", before: 500 },
      ];
      const error = await refusal(leader.commit(...marks, second));
      expect(error).toMatchObject({ kind: "permanent", outcomeKnown: true });
      expect(await everything(store)).toEqual(before);
      // The number was not used: the next batch holds.
      expect(await leader.commit(...marks)).toBe("applied");
    });

    test.for(updates)("$op of a row that is not there is refused for good, and the batch with it", async (change) => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const error = await refusal(leader.commit({ op: "insertTask", row: task() }, change));
      expect(error).toMatchObject({ kind: "permanent", outcomeKnown: true });
      expect(error.message).toContain("none");
      expect(await store.task("t1")).toBeNull();
    });
  });
}
