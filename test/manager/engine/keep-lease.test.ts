/** Two managers on one database that is slow to read: one of them leads, and goes on leading (rule 18). */
import { afterEach, expect, test } from "vitest";
import { processClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { systemDice } from "../../../schema/kit/random.ts";
import { timing } from "../../../schema/limits.ts";
import roundRobin from "../../../manager/control/placement/round-robin.ts";
import { PoolEngine } from "../../../manager/engine/engine.ts";
import { keepingLease } from "../../../manager/engine/keep-lease.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { StoreError, type LeaderStore } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { createTask } from "./rig.ts";

const engines: PoolEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
});

const pool = "default";
const lease = { leaseRenewMs: 20, leaseStillMs: 200 };

/** A memory store whose lease is a row, as MariaDB's, and whose every look at the live state takes several times `leaseStillMs`. */
function slowDatabase() {
  const memory = openMemoryStore();
  const world = { beat: 0, loads: 0, taken: 0 };
  const store: LeaderStore = {
    ...memory,
    leaseIsLock: false,
    readLease: async (name) => {
      const row = await memory.readLease(name);
      return row && { ...row, beat: world.beat };
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
      await new Promise((resolve) => setTimeout(resolve, 5 * lease.leaseStillMs));
      return await memory.loadLive(name);
    },
  };
  return { store, world };
}

function engineOn(store: LeaderStore, holder: string): PoolEngine {
  const engine = new PoolEngine({
    store,
    clock: processClock,
    dice: systemDice,
    log: silentLog(),
    holder,
    options: {
      pool,
      timing: { ...timing },
      limits: { queueWindow: 100, waitingRuns: 1_000, prefetch: 2, taskCache: 10, logStreamBytes: 1_000 },
      placement: roundRobin(),
      sign: () => "signature",
    },
    timing: { ...lease, tickMs: 20, answerWithinMs: 60_000 },
    send: () => undefined,
    onEvents: () => undefined,
  });
  engines.push(engine);
  engine.start();
  return engine;
}

test("loading takes longer than a lease may stand still: it is not taken meanwhile, and the first who has it leads", async () => {
  const { store, world } = slowDatabase();
  const [a, b] = [engineOn(store, "a"), engineOn(store, "b")];
  const leader = await until("somebody to lead", () => [a, b].find(({ lead }) => lead));
  expect(await leader.ask(createTask("a"))).toMatchObject({ kind: "task", created: true });
  expect(world).toMatchObject({ loads: 1, taken: 1 });
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
    7,
    { store, options: { pool }, timing: { leaseRenewMs: 1 } },
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
