import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { markRestored } from "../../manager/restored.ts";
import { openMemoryStore } from "../../manager/store/memory.ts";
import { openSqliteStore } from "../../manager/store/sqlite/store.ts";
import type { LeaseRow, Store } from "../../manager/store/store.ts";
import { quickFolder } from "../kit/quick-folder.ts";

const clock = { now: () => ({ mono: performance.now(), wall: 1_700_000_000_000 }) };

function options(more: Partial<Parameters<typeof markRestored>[1]> = {}): Parameters<typeof markRestored>[1] {
  return {
    pools: null,
    by: "ana",
    byReason: "the dump of noon",
    clock,
    stillMs: 60,
    signal: new AbortController().signal,
    ...more,
  };
}

async function led(store: Store, pool: string): Promise<LeaseRow> {
  const lease = await store.takeLease(pool, "manager-old at http://10.0.0.1:7070", null, 0);
  if (!lease) throw new Error("no lease");
  const event = {
    pool,
    number: 7,
    at: 1,
    kind: "workerOnline" as const,
    taskId: null,
    runId: null,
    attemptId: null,
    workerId: "w",
    by: null,
    data: {},
  };
  await store.commit({ pool, term: lease.term, batch: 1, changes: [{ op: "insertEvent", row: event }] });
  return lease;
}

describe.each([
  ["memory", async () => openMemoryStore()],
  [
    "SQLite",
    async () => {
      const folder = mkdtempSync(join(quickFolder(), "muster-restored-"));
      const store = await openSqliteStore({ file: join(folder, "muster.db") });
      onTestFinished(async () => {
        await store[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true, force: true });
      });
      return store;
    },
  ],
])("on %s", (_name, open) => {
  test("all pools are marked, with an event, and the lease is given back far above any term of the lost time", async () => {
    const store = await open();
    await led(store, "a");
    await led(store, "b");
    expect(await markRestored(store, options())).toEqual(["a", "b"]);
    expect(await store.holds()).toMatchObject([
      { pool: "a", by: "ana", byReason: "the dump of noon", short: false, letGo: false },
      { pool: "b", by: "ana" },
    ]);
    expect(await store.readLease("a")).toMatchObject({ holder: "", batch: 2 });
    expect((await store.readLease("a"))?.term).toBeGreaterThan(1_000);
    expect(await store.events({ limit: 10, after: { a: 7, b: 7 }, kinds: ["poolHeld"] })).toMatchObject([
      { pool: "a", number: 8, by: "ana", data: { what: "restored", reason: "the dump of noon" } },
      { pool: "b", number: 8 },
    ]);
  });

  test("one pool alone; again begins anew what somebody had let go", async () => {
    const store = await open();
    await led(store, "a");
    await led(store, "b");
    await markRestored(store, options({ pools: ["b"] }));
    expect((await store.holds()).map(({ pool }) => pool)).toEqual(["b"]);
    const lease = (await store.takeLease("b", "m", await store.readLease("b"), 0)) as LeaseRow;
    await store.commit({
      pool: "b",
      term: lease.term,
      batch: lease.batch + 1,
      changes: [{ op: "updateHold", pool: "b", set: { letGo: true } }],
    });
    await markRestored(store, options({ pools: ["b"], by: "eve", byReason: null }));
    expect(await store.holds()).toMatchObject([{ pool: "b", letGo: false, by: "eve", byReason: null }]);
  });

  test("a database that was never led, and a pool that is not there, are said", async () => {
    const store = await open();
    await expect(markRestored(store, options())).rejects.toThrow("no manager has ever led");
    await led(store, "a");
    await expect(markRestored(store, options({ pools: ["a", "typo"] }))).rejects.toThrow("no pool typo; it has a");
    expect(await store.holds()).toEqual([]);
  });
});

test("where the lease is a row, one that moves is somebody's, and nothing is marked", async () => {
  const store = { ...openMemoryStore(), leaseIsLock: false };
  const { term } = await led(store, "a");
  let moved = 1;
  const moving: Store = {
    ...store,
    leases: async () => {
      moved += 1;
      await store.commit({ pool: "a", term, batch: moved, changes: [] });
      return await store.leases();
    },
  };
  await expect(markRestored(moving, options())).rejects.toThrow("manager-old leads the pool a (term 1): stop all managers first");
  expect(await store.holds()).toEqual([]);
});

test("a manager that takes the lease in between wins, and nothing is marked", async () => {
  const store = { ...openMemoryStore(), leaseIsLock: false };
  await led(store, "a");
  const taken: Store = {
    ...store,
    takeLease: async (pool, holder, seen, above) => {
      await store.takeLease(pool, "manager-quick", await store.readLease(pool), 0);
      return await store.takeLease(pool, holder, seen, above);
    },
  };
  await expect(markRestored(taken, options())).rejects.toThrow("manager-quick leads the pool a");
  expect(await store.holds()).toEqual([]);
});
