/** Rule 28: a database that is taken back under a manager that goes on is held before anything is placed, without any worker's word. */
import { describe, expect, test } from "vitest";
import { Furthest } from "../../../manager/engine/furthest.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { memoryTables } from "../../../manager/store/memory-tables.ts";
import type { Batch, Store } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { engineOn } from "./engine-on.ts";
import { createTask } from "./rig.ts";

const pool = "default";

/** A database whose lease is a row, and that can be put back to what it was. */
function database() {
  const world = {
    held: { tables: memoryTables(), leases: new Map() },
    store: undefined as unknown as Store,
    commits: [] as Batch[],
  };
  world.store = openMemoryStore(world.held);
  const store = new Proxy(world.store, {
    get: (_, name) => {
      if (name === "leaseIsLock") return false;
      if (name === "commit")
        return async (batch: Batch) => {
          const result = await world.store.commit(batch);
          if (result === "applied") world.commits.push(batch);
          return result;
        };
      return Reflect.get(world.store, name) as unknown;
    },
  });
  return {
    store,
    commits: world.commits,
    backUp: () => structuredClone(world.held),
    putBack: (backup: typeof world.held) => {
      world.held = structuredClone(backup);
      world.store = openMemoryStore(world.held);
    },
  };
}

const by = { by: "tester", byReason: null };

function startOf(runId: string) {
  const given = { params: {}, workerId: null, labels: {}, idempotencyKey: null, bodyHash: "", mayExist: false, trace: "" };
  return { kind: "startRun", item: { taskId: "id-one", runId, ...given }, ...by } as const;
}

/** A leader, a run that waits in its database, and a backup from before the newest run. */
async function ledDatabase() {
  const db = database();
  const leader = engineOn(db.store, "a");
  await until("somebody to lead", () => leader.lead);
  await leader.ask(createTask("one"));
  await leader.ask(startOf("run-1"));
  const backup = db.backUp();
  for (let n = 2; n <= 5; n += 1) await leader.ask(startOf(`run-${n}`));
  return { ...db, leader, backup };
}

test("the manager that led goes on leading, and holds its pool with its first batch", async () => {
  const { store, commits, leader, backup, putBack } = await ledDatabase();
  const seen = leader.lead?.batch;
  commits.length = 0;
  putBack(backup);
  await until("the hold", async () => (await store.holds()).length > 0);
  expect(await store.holds()).toMatchObject([
    { pool, by: null, letGo: false, why: expect.stringMatching(new RegExp(`is at batch \\d+ .* saw batch ${seen} in it`)) },
  ]);
  expect(commits[0]?.changes.map((change) => change.op)).toEqual(expect.arrayContaining(["insertHold", "insertEvent"]));
  expect(leader.lead?.term).toBeGreaterThan(1);
  // Once: what was let go stays so, also for whoever leads next.
  await until("the leader", () => leader.lead);
  await leader.ask({ kind: "releasePool", what: "restored", ...by });
  await leader.stop();
  const next = engineOn(store, "b");
  await until("the next leader", () => next.lead);
  await next.ask(startOf("run-9"));
  expect(await store.holds()).toMatchObject([{ letGo: true }]);
});

test("so does one that waited to lead and saw how far it had come, also above the terms that it saw", async () => {
  const { store, leader, backup, putBack } = await ledDatabase();
  const next = engineOn(store, "b");
  const far = leader.lead?.batch ?? 0;
  await until("it to have looked", () => (next.lease?.batch ?? 0) >= far);
  putBack({ ...backup, leases: new Map([[pool, { pool, holder: "c", term: 0, batch: 1, beat: 0 }]]) });
  await leader.stop();
  await until("the hold", async () => (await store.holds()).length > 0);
  await until("the next leader", () => next.lead);
  expect(next.lead?.term).toBeGreaterThan(1);
});

test("where only batches without changes are lacking nothing was lost, and nothing is held", async () => {
  const { store, leader, backUp, putBack } = await ledDatabase();
  const backup = backUp();
  const { term = 0, batch = 0 } = leader.lead ?? {};
  await until("two looks at the lease", () => (leader.lead?.batch ?? 0) > batch + 1);
  putBack(backup);
  await until("it to lead anew", () => (leader.lead?.term ?? 0) > term);
  await leader.ask(startOf("run-9"));
  expect(await store.holds()).toEqual([]);
});

test("a leader that follows another on the same history holds nothing", async () => {
  const { store, leader } = await ledDatabase();
  const next = engineOn(store, "b");
  await until("it to have looked", () => next.lease);
  await leader.ask(startOf("run-8"));
  await leader.stop();
  await until("the next leader", () => next.lead);
  await next.ask(startOf("run-9"));
  expect(await store.holds()).toEqual([]);
});

describe("how far the history has come", () => {
  test("is behind after a database was put back, until somebody has begun with it", () => {
    const furthest = new Furthest();
    furthest.see({ term: 10, batch: 500 });
    furthest.see({ term: 10, batch: 300 });
    expect(furthest.lackedBy({ term: 11, batch: 300 })).toContain("batch 500");
    expect(furthest.term).toBe(10);
    // Taken by somebody who was deposed before its first batch: what it had to hold is not held.
    furthest.see({ term: 11, batch: 300 });
    furthest.see({ term: 11, batch: 300 });
    expect(furthest.lackedBy({ term: 12, batch: 300 })).toContain("batch 500");
    furthest.see({ term: 11, batch: 301 });
    expect(furthest.lackedBy({ term: 12, batch: 301 })).toBeUndefined();
    expect(furthest.term).toBe(11);
  });

  test("is behind while what was lost is replayed under the terms that were", () => {
    const furthest = new Furthest();
    furthest.see({ term: 10, batch: 500 });
    for (let batch = 300; batch < 400; batch += 10) furthest.see({ term: 9, batch });
    for (let batch = 400; batch < 450; batch += 10) furthest.see({ term: 10, batch });
    expect(furthest.lackedBy({ term: 11, batch: 440 })).toContain("batch 440");
    furthest.see({ term: 10, batch: 500 });
    expect(furthest.lackedBy({ term: 11, batch: 500 })).toBeUndefined();
  });
});
