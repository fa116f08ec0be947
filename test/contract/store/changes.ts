import { describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import { managerLimits } from "../../../schema/limits.ts";
import { storeLimits } from "../../../schema/limits/store.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { refusal } from "./refusals.ts";
import { attempt, event, key, lead, pool, run, setAside, task, version, worker } from "./rows.ts";

export function changeContract(open: OpenForTest): void {
  describe("a change", () => {
    test("of each kind is read back as it was written, in the order of the batch", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const stop = { by: "admin", graceSeconds: 2.5, at: 3_000 };
      const facts = {
        os: "linux",
        osVersion: "",
        arch: "x64",
        hostname: "h",
        cpus: 2,
        memoryMb: 10,
        interpreters: { sh: "1" },
        drivers: ["exec"],
        agentVersion: "0",
        nodeVersion: "",
        bootId: "b",
      };
      const body = { sha256: "f".repeat(64), size: 12 };
      await leader.commit(
        { op: "insertTask", row: task() },
        { op: "insertVersion", row: version({ body, script: body, byReason: "why not" }) },
        { op: "updateTask", id: "t1", set: { name: "daily", version: 2, labels: { x: "y" }, updatedAt: 2_000 } },
        { op: "insertRun", row: run({ wantedWorkerId: "w1", byReason: "r", rerunOf: "r0" }) },
        { op: "updateRun", id: "r1", set: { state: "starting", workerId: "w1", placements: 1, tries: 1 } },
        { op: "insertAttempt", row: attempt() },
        { op: "updateAttempt", id: "a1", set: { state: "running", startedAt: 2_500, pid: 4_194_304 } },
        {
          op: "updateRun",
          id: "r1",
          set: { state: "running", startedAt: 2_500, stop, progress: { percent: 12.5, message: null } },
        },
        { op: "insertWorker", row: worker() },
        {
          op: "updateWorker",
          id: "w1",
          set: {
            facts,
            capacity: { slots: 1, memoryMb: 2, cpus: 0.5 },
            draining: true,
            survives: true,
            http: false,
            state: "online",
            stateSince: 600,
            lastSeenAt: 700,
            epoch: "e",
            connection: 3,
            ownLabels: { z: "1" },
            apiLabels: { z: "2" },
          },
        },
        { op: "insertJournal", row: { workerId: "w1", journal: "j1", applied: 0 } },
        { op: "updateJournal", workerId: "w1", journal: "j1", applied: 9_007_199_254_740_991 },
        {
          op: "insertEvent",
          row: event({
            taskId: "t1",
            runId: "r1",
            attemptId: "a1",
            workerId: "w1",
            by: "admin",
            data: { deep: [1, { a: null }] },
          }),
        },
        { op: "insertKey", row: key() },
        { op: "insertSetAside", row: setAside() },
      );
      expect(await store.task("t1")).toEqual(task({ name: "daily", version: 2, labels: { x: "y" }, updatedAt: 2_000 }));
      expect(await store.version("t1", 1)).toEqual(version({ body, script: body, byReason: "why not" }));
      const expected = run({
        wantedWorkerId: "w1",
        byReason: "r",
        rerunOf: "r0",
        state: "running",
        workerId: "w1",
        placements: 1,
        tries: 1,
        startedAt: 2_500,
        stop,
        progress: { percent: 12.5, message: null },
      });
      expect(await store.run("r1")).toEqual({
        run: expected,
        attempts: [attempt({ state: "running", startedAt: 2_500, pid: 4_194_304 })],
      });
      expect(await store.worker("w1")).toEqual(
        worker({
          facts,
          capacity: { slots: 1, memoryMb: 2, cpus: 0.5 },
          draining: true,
          survives: true,
          http: false,
          state: "online",
          stateSince: 600,
          lastSeenAt: 700,
          epoch: "e",
          connection: 3,
          ownLabels: { z: "1" },
          apiLabels: { z: "2" },
        }),
      );
      const live = await store.loadLive(pool);
      expect(live.journals).toEqual([{ workerId: "w1", journal: "j1", applied: 9_007_199_254_740_991 }]);
      expect(await store.events({ limit: 5, after: {} })).toEqual([
        event({ taskId: "t1", runId: "r1", attemptId: "a1", workerId: "w1", by: "admin", data: { deep: [1, { a: null }] } }),
      ]);
      expect(await store.load(pool, [{ need: "key", taskId: "t1", key: "k1" }])).toEqual([
        { need: "key", taskId: "t1", key: "k1", found: key() },
      ]);
      expect(await store.setAside(5)).toEqual([setAside()]);
    });

    test("ends an attempt and its run with all that an end has", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit(
        { op: "insertRun", row: run({ state: "running" }) },
        { op: "insertAttempt", row: attempt({ state: "running" }) },
      );
      const end = { how: "exited", code: 4_294_967_295 } as const;
      const resultBody = { sha256: "a".repeat(64), size: 10_485_760 };
      await leader.commit(
        { op: "updateAttempt", id: "a1", set: { state: "ended", endedAt: 9_000, end } },
        { op: "updateRun", id: "r1", set: { state: "failed", endedAt: 9_000, end, result: '{"a":1}', resultBody } },
      );
      expect(await store.run("r1")).toEqual({
        run: run({ state: "failed", endedAt: 9_000, end, result: '{"a":1}', resultBody }),
        attempts: [attempt({ state: "ended", endedAt: 9_000, end })],
      });
      await leader.commit({ op: "updateRun", id: "r1", set: { result: null } });
      expect((await store.run("r1"))?.run.result).toBeNull();
    });

    test("that sets nothing is nothing", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit({ op: "insertRun", row: run() });
      expect(await leader.commit({ op: "updateRun", id: "r1", set: {} })).toBe("applied");
      expect((await store.run("r1"))?.run).toEqual(run());
    });

    test("frees the name of a deleted task, and the name that a task had before", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit({ op: "insertTask", row: task() });
      await leader.commit({ op: "updateTask", id: "t1", set: { deleted: true } }, { op: "insertTask", row: task({ id: "t2" }) });
      expect(await store.taskByName(pool, "nightly")).toEqual(task({ id: "t2" }));
      expect(await store.task("t1")).toEqual(task({ deleted: true }));
      await leader.commit({ op: "updateTask", id: "t2", set: { name: "daily" } }, { op: "insertTask", row: task({ id: "t3" }) });
      expect((await store.taskByName(pool, "nightly"))?.id).toBe("t3");
      expect((await store.taskByName(pool, "daily"))?.id).toBe("t2");
      await refusal(leader.commit({ op: "updateTask", id: "t3", set: { name: "daily" } }));
      expect(await store.taskByName("other", "daily")).toBeNull();
      expect(await leader.commit({ op: "insertTask", row: task({ id: "t4", pool: "other" }) })).toBe("applied");
    });

    test("forgets old keys, the oldest first and a bounded number at once", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const rows = Array.from({ length: storeLimits.keysForgotten + 2 }, (_, at): Change => ({
        op: "insertKey",
        row: key({ key: `k${at}`, at }),
      }));
      await leader.commit(...rows, { op: "insertKey", row: key({ key: "young", at: 5_000 }) });
      const left = async (...names: string[]) => {
        const loaded = await store.load(
          pool,
          names.map((name) => ({ need: "key", taskId: "t1", key: name }) as const),
        );
        return loaded.map((one) => one.need === "key" && one.found !== null);
      };
      await leader.commit({ op: "deleteKeys", before: 5_000 });
      expect(await left("k0", `k${storeLimits.keysForgotten - 1}`, `k${storeLimits.keysForgotten}`, "young")).toEqual([
        false,
        false,
        true,
        true,
      ]);
      await leader.commit({ op: "deleteKeys", before: 5_000 });
      expect(await left(`k${storeLimits.keysForgotten + 1}`, "young")).toEqual([false, true]);
    });

    test("keeps the newest of what was set aside", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const rows = Array.from({ length: managerLimits.setAside + 3 }, (_, at): Change => ({
        op: "insertSetAside",
        row: setAside({ id: `s${at}`, at }),
      }));
      await leader.commit(...rows);
      const kept = await store.setAside(managerLimits.setAside + 10);
      expect(kept).toHaveLength(managerLimits.setAside);
      expect(kept[0]?.id).toBe(`s${managerLimits.setAside + 2}`);
      expect(kept.at(-1)?.id).toBe("s3");
      expect((await store.setAside(2)).map((row) => row.id)).toEqual([
        `s${managerLimits.setAside + 2}`,
        `s${managerLimits.setAside + 1}`,
      ]);
    });
  });
}
