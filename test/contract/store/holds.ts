import { describe, expect, test } from "vitest";
import type { HoldRecord } from "../../../manager/control/records.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { lead, pool } from "./rows.ts";

const hold: HoldRecord = {
  pool,
  since: 1_700_000_000_000,
  by: null,
  byReason: null,
  why: "the database was taken back",
  short: false,
  letGo: false,
};

export function holdContract(open: OpenForTest): void {
  describe("the hold of a restored database", () => {
    test("is there for the next leader until it ends, one for each pool", async () => {
      const { store } = await openFor(open);
      const first = await lead(store);
      const other = await lead(store, "b");
      await first.commit({ op: "insertHold", row: hold });
      await other.commit({ op: "insertHold", row: { ...hold, pool: "b", by: "ana", byReason: "a dump of noon" } });
      await lead(store);
      expect((await store.loadLive(pool)).hold).toEqual(hold);
      expect((await store.loadLive("b")).hold).toMatchObject({ by: "ana", byReason: "a dump of noon" });
      expect((await store.loadLive("c")).hold).toBeNull();
      expect(await store.holds()).toHaveLength(2);
      const next = await lead(store);
      await next.commit({ op: "updateHold", pool, set: { short: true, letGo: true } });
      expect((await store.holds()).map((row) => [row.pool, row.short, row.letGo])).toEqual([
        ["b", false, false],
        [pool, true, true],
      ]);
      await next.commit({ op: "deleteHold", pool });
      expect((await store.holds()).map((row) => row.pool)).toEqual(["b"]);
    });

    test("that is not there cannot be changed or ended, and a second one cannot be: the whole batch is refused", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit({ op: "insertHold", row: hold });
      await expect(leader.commit({ op: "insertHold", row: hold })).rejects.toMatchObject({ kind: "permanent" });
      for (const change of [
        { op: "updateHold", pool: "b", set: { short: true } },
        { op: "deleteHold", pool: "b" },
      ] as const) {
        await expect(leader.commit({ op: "updateHold", pool, set: { letGo: true } }, change)).rejects.toMatchObject({
          kind: "permanent",
        });
      }
      expect(await store.holds()).toEqual([hold]);
    });
  });

  test("the leases of all pools are listed by name", async () => {
    const { store } = await openFor(open);
    expect(await store.leases()).toEqual([]);
    await lead(store, "b");
    await lead(store, "a");
    expect((await store.leases()).map((row) => [row.pool, row.term])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
  });
}
