import { describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import { runStates } from "../../../schema/run.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { attempt, event, key, lead, pool, run, task, version, worker } from "./rows.ts";

export function needContract(open: OpenForTest): void {
  describe("load", () => {
    test("answers each need in order, with null for what is not there", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit(
        { op: "insertTask", row: task() },
        { op: "insertTask", row: task({ id: "gone", name: "gone", deleted: true }) },
        { op: "insertVersion", row: version() },
        { op: "insertRun", row: run({ state: "running" }) },
        { op: "insertAttempt", row: attempt({ id: "a2", number: 2 }) },
        { op: "insertAttempt", row: attempt({ id: "a1", number: 1, state: "ended" }) },
        { op: "insertKey", row: key() },
        { op: "insertWorker", row: worker() },
      );
      const attempts = [attempt({ id: "a1", number: 1, state: "ended" }), attempt({ id: "a2", number: 2 })];
      expect(
        await store.load(pool, [
          { need: "task", id: "t1" },
          { need: "task", id: "gone" },
          { need: "task", id: "none" },
          { need: "taskByName", pool, name: "nightly" },
          { need: "taskByName", pool, name: "gone" },
          { need: "version", taskId: "t1", version: 1 },
          { need: "version", taskId: "t1", version: 2 },
          { need: "run", id: "r1" },
          { need: "run", id: "none" },
          { need: "key", taskId: "t1", key: "k1" },
          { need: "key", taskId: "t2", key: "k1" },
          { need: "attempts", ids: ["a2", "none", "a1"] },
          { need: "poolOfWorker", id: "w1" },
          { need: "poolOfWorker", id: "none" },
        ]),
      ).toEqual([
        { need: "task", id: "t1", found: task() },
        { need: "task", id: "gone", found: task({ id: "gone", name: "gone", deleted: true }) },
        { need: "task", id: "none", found: null },
        { need: "taskByName", pool, name: "nightly", found: task() },
        { need: "taskByName", pool, name: "gone", found: null },
        { need: "version", taskId: "t1", version: 1, found: version() },
        { need: "version", taskId: "t1", version: 2, found: null },
        { need: "run", id: "r1", found: { run: run({ state: "running" }), attempts } },
        { need: "run", id: "none", found: null },
        { need: "key", taskId: "t1", key: "k1", found: key() },
        { need: "key", taskId: "t2", key: "k1", found: null },
        { need: "attempts", found: [attempts[1], attempts[0]] },
        { need: "poolOfWorker", id: "w1", found: pool },
        { need: "poolOfWorker", id: "none", found: null },
      ]);
    });

    test("pages the queue of one pool by order", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const orders = [5, 1, 4, 2, 3];
      await leader.commit(
        ...orders.map((order): Change => ({ op: "insertRun", row: run({ id: `r${order}`, order }) })),
        { op: "insertRun", row: run({ id: "started", order: 6, state: "starting" }) },
        { op: "insertRun", row: run({ id: "retrying", order: 7, state: "retrying" }) },
        { op: "insertRun", row: run({ id: "elsewhere", order: 8, pool: "b" }) },
        { op: "insertRun", row: run({ id: "last", order: 9 }) },
      );
      const page = async (after: number, limit: number) => {
        const [loaded] = await store.load(pool, [{ need: "queuePage", after, limit }]);
        return loaded?.need === "queuePage" ? loaded.found.map((one) => one.id) : [];
      };
      expect(await page(0, 3)).toEqual(["r1", "r2", "r3"]);
      expect(await page(3, 10)).toEqual(["r4", "r5", "last"]);
      await leader.commit(
        { op: "updateRun", id: "r4", set: { state: "starting" } },
        { op: "updateRun", id: "started", set: { state: "queued" } },
      );
      expect(await page(3, 10)).toEqual(["r5", "started", "last"]);
      expect(await page(9, 10)).toEqual([]);
    });

    test("finds the runs of a task that have not ended, at most so many", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit(
        ...runStates.map((state, at): Change => ({ op: "insertRun", row: run({ id: state, order: at + 1, state }) })),
        { op: "insertRun", row: run({ id: "queued2", order: 90, createdAt: 1_001 }) },
        { op: "insertRun", row: run({ id: "other", order: 91, taskId: "t2" }) },
      );
      const find = async (limit: number) => {
        const [loaded] = await store.load(pool, [{ need: "liveRunsOfTask", taskId: "t1", limit }]);
        return loaded?.need === "liveRunsOfTask" ? [...loaded.found] : [];
      };
      expect(await find(100)).toEqual(["queued", "queued2", "starting", "running", "stopping", "retrying", "unreachable"]);
      expect(await find(3)).toEqual(["queued", "queued2", "starting"]);
    });
  });

  describe("loadLive", () => {
    test("of an empty pool is empty", async () => {
      const { store } = await openFor(open);
      expect(await store.loadLive(pool)).toEqual({
        workers: [],
        journals: [],
        runs: [],
        queued: 0,
        orphans: [],
        lastEvent: 0,
        hold: null,
      });
    });

    test("gives a new leader the workers, the held runs, the orphans and the last numbers of its pool", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit(
        { op: "insertWorker", row: worker({ id: "w2", state: "removed" }) },
        { op: "insertWorker", row: worker({ id: "w1" }) },
        { op: "insertWorker", row: worker({ id: "w3", pool: "b" }) },
        { op: "insertJournal", row: { workerId: "w1", journal: "j2", applied: 2 } },
        { op: "insertJournal", row: { workerId: "w1", journal: "j1", applied: 1 } },
        { op: "insertJournal", row: { workerId: "w3", journal: "j3", applied: 3 } },
        ...runStates.map((state, at): Change => ({ op: "insertRun", row: run({ id: state, order: 20 - at, state }) })),
        { op: "insertRun", row: run({ id: "queued2", order: 21 }) },
        { op: "insertRun", row: run({ id: "elsewhere", order: 77, pool: "b", state: "running" }) },
        { op: "insertAttempt", row: attempt({ id: "a1", runId: "running", state: "ended" }) },
        { op: "insertAttempt", row: attempt({ id: "a2", runId: "running", number: 2, state: "running" }) },
        { op: "insertAttempt", row: attempt({ id: "orphan", runId: "lost", state: "accepted" }) },
        { op: "insertAttempt", row: attempt({ id: "ended", runId: "succeeded", state: "ended" }) },
        { op: "insertAttempt", row: attempt({ id: "elsewhere", runId: "elsewhere", pool: "b" }) },
        { op: "insertEvent", row: event({ number: 7 }) },
        { op: "insertEvent", row: event({ number: 12, pool: "b" }) },
      );
      const live = await store.loadLive(pool);
      expect(live.workers.map((one) => one.id)).toEqual(["w1", "w2"]);
      expect(live.journals.map((one) => one.journal)).toEqual(["j1", "j2"]);
      expect(live.runs.map((one) => one.run.id)).toEqual(["unreachable", "retrying", "stopping", "running", "starting"]);
      expect(live.runs.find((one) => one.run.id === "running")?.attempts.map((one) => one.id)).toEqual(["a1", "a2"]);
      expect(live.orphans.map((one) => one.id)).toEqual(["orphan"]);
      expect({ queued: live.queued, lastEvent: live.lastEvent }).toEqual({
        queued: 2,
        lastEvent: 7,
      });
    });
  });
}
