import { describe, expect, test } from "vitest";
import { openFor, type OpenForTest } from "./open.ts";
import { event, lead, pool, run, task } from "./rows.ts";

export function leaseContract(open: OpenForTest): void {
  describe("the lease", () => {
    test("is made with term 1 and batch 0 for whoever asks first", async () => {
      const { store } = await openFor(open);
      expect(await store.readLease(pool)).toBeNull();
      const taken = await store.takeLease(pool, "m1", null, 0);
      expect(taken).toEqual({ pool, holder: "m1", term: 1, batch: 0, beat: 0 });
      expect(await store.readLease(pool)).toEqual(taken);
    });

    test("is taken with the next term, keeps its batch, and is given to one of two who saw the same row", async () => {
      const { store } = await openFor(open);
      const first = await lead(store);
      await first.commit({ op: "insertEvent", row: event() });
      const seen = await store.readLease(pool);
      expect(await store.takeLease(pool, "m2", seen, 0)).toMatchObject({ holder: "m2", term: 2, batch: 1 });
      expect(await store.takeLease(pool, "m3", seen, 0)).toBeNull();
      expect(await store.takeLease(pool, "m3", null, 0)).toBeNull();
      expect(await store.readLease(pool)).toMatchObject({ holder: "m2", term: 2 });
    });

    test("is not taken when a commit came after it was seen", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const seen = await store.readLease(pool);
      await leader.commit();
      expect(await store.takeLease(pool, "m2", seen, 0)).toBeNull();
    });

    test("is not taken when its leader has proved it after it was seen; where an OS lock is the lease nothing moves", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const seen = await store.readLease(pool);
      expect(await store.renewLease(pool, leader.term)).toBe(true);
      if (store.leaseIsLock) expect(await store.readLease(pool)).toEqual(seen);
      else expect(await store.takeLease(pool, "m2", seen, 0)).toBeNull();
    });

    test("goes above a term that a worker has obeyed", async () => {
      const { store } = await openFor(open);
      expect(await store.takeLease(pool, "m1", null, 41)).toMatchObject({ term: 42 });
      expect(await store.takeLease(pool, "m1", await store.readLease(pool), 7)).toMatchObject({ term: 43 });
    });

    test("is renewed under its own term alone", async () => {
      const { store } = await openFor(open);
      expect(await store.renewLease(pool, 1)).toBe(false);
      const leader = await lead(store);
      expect(await store.renewLease(pool, leader.term)).toBe(true);
      expect(await store.renewLease(pool, leader.term + 1)).toBe(false);
      await lead(store);
      expect(await store.renewLease(pool, leader.term)).toBe(false);
    });

    test("that is given back has no holder and goes to the next term at once, to one of two; only its own term gives it back", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit();
      await store.releaseLease(pool, leader.term + 1);
      await store.releaseLease("another", leader.term);
      expect(await store.readLease(pool)).toMatchObject({ holder: "test" });
      await store.releaseLease(pool, leader.term);
      const free = await store.readLease(pool);
      expect(free).toEqual({ pool, holder: "", term: 1, batch: 1, beat: 0 });
      expect(await store.takeLease(pool, "m2", free, 0)).toMatchObject({ holder: "m2", term: 2, batch: 1 });
      expect(await store.takeLease(pool, "m3", free, 0)).toBeNull();
      await store.releaseLease(pool, leader.term);
      expect(await store.readLease(pool)).toMatchObject({ holder: "m2", term: 2 });
      expect(await leader.commit()).toBe("deposed");
    });

    test("belongs to one pool", async () => {
      const { store } = await openFor(open);
      const a = await lead(store, "a");
      const b = await lead(store, "b");
      await a.commit();
      expect(await b.commit({ op: "insertEvent", row: event({ pool: "b" }) })).toBe("applied");
      expect(await store.readLease("a")).toMatchObject({ term: 1, batch: 1 });
      expect(await store.readLease("b")).toMatchObject({ term: 1, batch: 1 });
    });
  });

  describe("a commit", () => {
    test("advances the batch, an empty one too", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      expect(await leader.commit()).toBe("applied");
      expect(await leader.commit({ op: "insertTask", row: task() })).toBe("applied");
      expect(await store.readLease(pool)).toMatchObject({ batch: 2 });
    });

    test("of an old term is deposed and writes nothing", async () => {
      const { store } = await openFor(open);
      const old = await lead(store);
      await lead(store);
      expect(await old.commit({ op: "insertTask", row: task() })).toBe("deposed");
      expect(await store.task("t1")).toBeNull();
      expect(await store.readLease(pool)).toMatchObject({ term: 2, batch: 0 });
    });

    test("without a lease is deposed", async () => {
      const { store } = await openFor(open);
      expect(await store.commit({ pool, term: 1, batch: 1, changes: [{ op: "insertTask", row: task() }] })).toBe("deposed");
      expect(await store.task("t1")).toBeNull();
    });

    test("that is repeated changes nothing; the lease's batch tells that it was applied", async () => {
      const { store } = await openFor(open);
      const { term } = await lead(store);
      const batch = { pool, term, batch: 1, changes: [{ op: "insertRun", row: run() } as const] };
      expect(await store.commit(batch)).toBe("applied");
      expect(await store.commit(batch)).toBe("deposed");
      expect(await store.readLease(pool)).toMatchObject({ term, batch: 1 });
      expect((await store.runs({ limit: 10, cursor: null })).items).toHaveLength(1);
    });

    test("that skips a number is deposed", async () => {
      const { store } = await openFor(open);
      const { term } = await lead(store);
      expect(await store.commit({ pool, term, batch: 2, changes: [{ op: "insertRun", row: run() }] })).toBe("deposed");
      expect(await store.run("r1")).toBeNull();
    });

    test("is seen through a new connection", async () => {
      const opened = await openFor(open);
      const leader = await lead(opened.store);
      await leader.commit({ op: "insertTask", row: task() }, { op: "insertRun", row: run() });
      const again = await opened.reopen();
      expect(await again.task("t1")).toEqual(task());
      expect(await again.run("r1")).toEqual({ run: run(), attempts: [] });
      expect(await again.readLease(pool)).toMatchObject({ term: leader.term, batch: 1 });
    });
  });
}
