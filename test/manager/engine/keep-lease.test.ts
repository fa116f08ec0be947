/** Two managers on one database that is slow to read: one of them leads, and goes on leading (rule 18). */
import { expect, test } from "vitest";
import { processClock } from "../../../schema/kit/clock.ts";
import { keepingLease } from "../../../manager/engine/keep-lease.ts";
import { retakeLease } from "../../../manager/engine/retake.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { StoreError, type LeaderStore } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { engineOn, quickLease as lease } from "./engine-on.ts";
import { createTask } from "./rig.ts";

const pool = "default";

/** A memory store whose lease is a row, as MariaDB's; what each kind of read takes is the test's, as are the reads that were made. */
function slowDatabase(slow: { readonly liveMs?: number; readonly needsMs?: number }) {
  const memory = openMemoryStore();
  const world = { beat: 0, loads: 0, needs: 0, taken: 0, leaseMs: 0 };
  const sleep = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const store: LeaderStore = {
    ...memory,
    leaseIsLock: false,
    readLease: async (name) => {
      const row = await memory.readLease(name);
      const seen = row && { ...row, beat: world.beat };
      if (world.leaseMs > 0) await sleep(world.leaseMs);
      return seen;
    },
    takeLease: async (name, holder, seen, aboveTerm) => {
      if ((seen?.beat ?? 0) !== world.beat) return null;
      const row = await memory.takeLease(name, holder, seen && { ...seen, beat: 0 }, aboveTerm);
      if (row) world.taken += 1;
      return row;
    },
    renewLease: async (name, term) => {
      const isOurs = await memory.renewLease(name, term);
      if (isOurs) world.beat += 1;
      return isOurs;
    },
    loadLive: async (name) => {
      world.loads += 1;
      await sleep(slow.liveMs);
      return await memory.loadLive(name);
    },
    load: async (name, needs) => {
      world.needs += 1;
      await sleep(slow.needsMs);
      return await memory.load(name, needs);
    },
  };
  return { store, world };
}

test("loading takes longer than a lease may stand still: it is not taken meanwhile, and the first who has it leads", async () => {
  const { store, world } = slowDatabase({ liveMs: 5 * lease.leaseStillMs });
  const [a, b] = [engineOn(store, "a"), engineOn(store, "b")];
  const leader = await until("somebody to lead", () => [a, b].find(({ lead }) => lead));
  expect(await leader.ask(createTask("a"))).toMatchObject({ kind: "task", created: true });
  expect(world).toMatchObject({ loads: 1, taken: 1 });
});

test("one read for one request takes longer than a lease may stand still: its leader goes on leading", async () => {
  const { store, world } = slowDatabase({ needsMs: 3 * lease.leaseStillMs });
  const [a, b] = [engineOn(store, "a"), engineOn(store, "b")];
  const leader = await until("somebody to lead", () => [a, b].find(({ lead }) => lead));
  expect(await leader.ask(createTask("a"))).toMatchObject({ kind: "task", created: true });
  expect(leader.lead?.term).toBe(1);
  expect(world).toMatchObject({ taken: 1 });
});

test("so do many reads of one batch, each of which is quick enough", async () => {
  const { store, world } = slowDatabase({ needsMs: lease.leaseRenewMs * 0.8 });
  const [a, b] = [engineOn(store, "a"), engineOn(store, "b")];
  const leader = await until("somebody to lead", () => [a, b].find(({ lead }) => lead));
  const names = Array.from({ length: 40 }, (_, index) => `task-${index}`);
  const asked = await Promise.all(names.map((name) => leader.ask(createTask(name))));
  expect(asked).toHaveLength(names.length);
  expect(world).toMatchObject({ taken: 1 });
  expect(world.needs).toBeGreaterThanOrEqual(names.length);
});

test("the lease is retaken while its row is slow to read, and moves meanwhile", async () => {
  const { store, world } = slowDatabase({});
  const taken = await store.takeLease(pool, "a", null, 0);
  world.leaseMs = 50;
  const again = retakeLease(store, pool, "a", taken?.term ?? 0);
  world.leaseMs = 0;
  await store.renewLease(pool, taken?.term ?? 0);
  expect(await again).toMatchObject({ holder: "a", term: 2 });
  expect(await retakeLease(store, pool, "b", 2)).toBeNull();
});

test("who cannot read does not keep the lease from others", async () => {
  const renewals: number[] = [];
  const store = {
    leaseIsLock: false,
    renewLease: async (_pool: string, term: number) => renewals.push(term) > 0,
  };
  let fails: (() => void) | undefined;
  const read = keepingLease(
    async () => await new Promise<never>((_, reject) => (fails = () => reject(new StoreError("transient", true, "away")))),
    { term: 7, keptMs: processClock.now().mono },
    { store, options: { pool }, timing: { leaseRenewMs: 1 }, clock: processClock },
  );
  const first = read();
  await until("the lease to be renewed", () => renewals.length > 1);
  fails?.();
  await expect(first).rejects.toThrow("away");
  const before = renewals.length;
  const second = read();
  await new Promise((resolve) => setTimeout(resolve, 20));
  fails?.();
  await expect(second).rejects.toThrow("away");
  // One may have been on its way when the first try failed.
  expect(renewals.length - before).toBeLessThanOrEqual(1);
  expect(new Set(renewals)).toEqual(new Set([7]));
});
