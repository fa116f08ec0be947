import { beforeEach, expect, test } from "vitest";
import type { PoolView } from "../../../schema/pool.ts";
import type { HoldRecord } from "../../../manager/control/records.ts";
import { problemIn, rig, type Rig } from "./kit.ts";

const hold: HoldRecord = {
  pool: "default",
  since: 5_000,
  by: "ana",
  byReason: "the dump of noon",
  why: "somebody put a backup back",
  short: false,
  letGo: false,
};

let r: Rig;
beforeEach(async () => {
  r = await rig();
  await r.commit({ op: "insertHold", row: hold });
  await r.store.takeLease("edge", "manager-abc at http://10.0.0.7:7070", null, 0);
});

test("a pool shows who leads it, and what holds it in the leader's words", async () => {
  r.plane.held = {
    term: 1,
    hold: "held: it waits for edge-1",
    waitsFor: ["edge-1"],
    brake: { sentence: "4 are silent", silent: 4 },
  };
  const page = (await (await r.call("GET", "/pools")).json()) as { items: PoolView[]; next: null };
  expect(page.items.map(({ id, leader }) => [id, leader])).toEqual([
    ["default", "test"],
    ["edge", "manager-abc"],
  ]);
  expect(page.items[0]).toMatchObject({
    reason: "held: it waits for edge-1",
    restored: { since: "1970-01-01T00:00:05.000Z", by: "ana", byReason: "the dump of noon", letGo: false, waitsFor: ["edge-1"] },
    brake: { silent: 4, sentence: "4 are silent" },
  });
  expect((await r.call("GET", "/pools/none")).status).toBe(404);
});

test("pages are by name", async () => {
  const first = (await (await r.call("GET", "/pools?limit=1")).json()) as { items: PoolView[]; next: string };
  expect(first).toMatchObject({ items: [{ id: "default" }], next: "default" });
  const second = (await (await r.call("GET", `/pools?limit=1&cursor=${first.next}`)).json()) as { items: PoolView[]; next: null };
  expect(second).toMatchObject({ items: [{ id: "edge" }], next: null });
});

test("what the leader does not tell is said, and what is stored is shown all the same", async () => {
  r.plane.held = { unknown: "manager-abc at http://10.0.0.7:7070 does not answer" };
  expect((await (await r.call("GET", "/pools/default")).json()) as PoolView).toMatchObject({
    reason: "manager-abc at http://10.0.0.7:7070 does not answer",
    restored: { waitsFor: [] },
    brake: null,
  });
});

test("a release is the leader's to decide, with who asked and why", async () => {
  r.plane.answer = () => ({ kind: "released", changed: true });
  const response = await r.call("POST", "/pools/default/release", { body: { what: "brake", reason: "the hall burnt down" } });
  expect(response.status).toBe(200);
  expect(r.plane.asked).toEqual([
    { pool: "default", request: { kind: "releasePool", what: "brake", by: "ana", byReason: "the hall burnt down" } },
  ]);
  expect((await r.call("POST", "/pools/none/release", { body: { what: "brake" } })).status).toBe(404);
  const wrong = await r.call("POST", "/pools/default/release", { body: { what: "everything" } });
  expect(await problemIn(wrong)).toMatchObject({ code: "malformed" });
  expect(r.plane.asked).toHaveLength(1);
});
