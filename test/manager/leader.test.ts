import { describe, expect, onTestFinished, test } from "vitest";
import type { Now } from "../../schema/given.ts";
import { becomeLeader, type LeaderDeps } from "../../manager/leader.ts";
import { openMemoryStore } from "../../manager/store/memory.ts";
import { StoreError, type LeaderStore, type LeaseRow } from "../../manager/store/store.ts";
import { until } from "../kit/until.ts";

const pool = "default";

/** A candidate beside a leader whose row `move` changes; its own clock is turned by hand. */
async function candidate(first: Partial<LeaderStore> = {}, freeAfterMs?: number) {
  const memory = openMemoryStore();
  const leader = await memory.takeLease(pool, "leader", null, 0);
  const now = { mono: 0, wall: 0 };
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const troubles: string[] = [];
  let looks = 0;
  const store: LeaderStore = {
    ...memory,
    leaseIsLock: false,
    ...first,
    readLease: async (name) => {
      looks += 1;
      return await (first.readLease ?? memory.readLease)(name);
    },
  };
  const deps: LeaderDeps = {
    store,
    pool,
    holder: "candidate",
    clock: { now: (): Now => ({ ...now }) },
    timing: { leaseRenewMs: 2, leaseStillMs: 6_000, freeAfterMs },
    signal: stop.signal,
    onTrouble: (error) => troubles.push(error.message),
  };
  let taken: LeaseRow | undefined;
  const done = becomeLeader(deps, 0).then((lease) => (taken = lease));
  /** The clock goes on, and the candidate looks at least twice. */
  const pass = async (ms: number): Promise<LeaseRow | undefined> => {
    now.mono += ms;
    const seen = looks;
    await until("the candidate to look", () => taken !== undefined || looks >= seen + 2);
    return taken;
  };
  const move = (batch: number) => memory.commit({ pool, term: leader?.term ?? 0, batch, changes: [] });
  const release = () => memory.releaseLease(pool, leader?.term ?? 0);
  return { memory, pass, move, release, stop, done, troubles };
}

describe("rule 18: a candidate takes the next term only after the row stood still by its own clock", () => {
  test("not while the leader commits, and not before the whole time has passed since", async () => {
    const it = await candidate();
    for (let batch = 1; batch <= 5; batch += 1) {
      expect(await it.pass(5_000)).toBeUndefined();
      await it.move(batch);
      expect(await it.pass(0)).toBeUndefined();
    }
    expect(await it.pass(5_999)).toBeUndefined();
    expect(await it.pass(1)).toMatchObject({ holder: "candidate", term: 2, batch: 5 });
    expect(await it.move(6)).toBe("deposed");
  });

  test("at once when its holder has given it back, and nobody else's", async () => {
    const it = await candidate();
    expect(await it.pass(0)).toBeUndefined();
    await it.memory.releaseLease(pool, 2);
    expect(await it.pass(0)).toBeUndefined();
    await it.memory.releaseLease(pool, 1);
    expect(await it.pass(0)).toMatchObject({ holder: "candidate", term: 2 });
    expect(await it.move(1)).toBe("deposed");
  });

  test("one that was given back is left to managers that prefer the pool for a while; one that stood still is not", async () => {
    const shy = await candidate({}, 4_000);
    await shy.move(1);
    expect(await shy.pass(5_000)).toBeUndefined();
    await shy.release();
    expect(await shy.pass(0)).toBeUndefined();
    expect(await shy.pass(3_999)).toBeUndefined();
    expect(await shy.pass(1)).toMatchObject({ holder: "candidate", term: 2, batch: 1 });

    const other = await candidate({}, 60_000);
    expect(await other.pass(0)).toBeUndefined();
    expect(await other.pass(6_000)).toMatchObject({ holder: "candidate", term: 2 });
  });

  test("not while the leader only proves its lease, as it does while it waits for a slow read", async () => {
    const memory = openMemoryStore();
    let row = await memory.takeLease(pool, "leader", null, 0);
    const it = await candidate({
      readLease: async () => row,
      takeLease: async (_pool, holder) => row && { ...row, holder, term: row.term + 1 },
    });
    for (let beat = 1; beat <= 3; beat += 1) {
      expect(await it.pass(5_000)).toBeUndefined();
      row = row && { ...row, beat };
      expect(await it.pass(0)).toBeUndefined();
    }
  });

  test("above every term that it saw while it waited: what was put back meanwhile does not take back what workers obeyed", async () => {
    const memory = openMemoryStore();
    const row = await memory.takeLease(pool, "leader", null, 0);
    let seen = row && { ...row, term: 9 };
    const asked: number[] = [];
    const it = await candidate({
      readLease: async () => seen,
      takeLease: async (name, holder, before, above) => {
        asked.push(above);
        return await memory.takeLease(name, holder, before, above);
      },
    });
    expect(await it.pass(0)).toBeUndefined();
    seen = row;
    expect(await it.pass(0)).toBeUndefined();
    expect(await it.pass(6_000)).toMatchObject({ holder: "candidate", term: 10 });
    expect(asked).toEqual([9]);
  });

  test("a database that does not answer is told of and proves nothing", async () => {
    let away = true;
    const memory = openMemoryStore();
    const row = await memory.takeLease(pool, "leader", null, 0);
    const it = await candidate({
      readLease: async () => {
        if (away) throw new StoreError("transient", true, "the database is away");
        return row;
      },
    });
    expect(await it.pass(60_000)).toBeUndefined();
    expect(it.troubles).toContain("the database is away");
    away = false;
    expect(await it.pass(0)).toBeUndefined();
    expect(await it.pass(5_999)).toBeUndefined();
    it.stop.abort();
    expect(await it.done).toBeUndefined();
  });
});
