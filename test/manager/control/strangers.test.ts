import { expect, test } from "vitest";
import { epochOf, Hand, joined } from "./hand.ts";
import { itemsOf, openBench } from "./kit.ts";

test("rules 7 and 8: who is not taken for the worker is echoed nothing: its fences must not move, nor a start get fresher by its side", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  a.restart();
  const asked = await a.beat();
  expect(asked.items).toEqual([{ workerId: "a", asOf: { epoch: a.epoch, mono: 0 }, item: { kind: "ask", hello: true } }]);
  const reported = await a.report(a.next("unknown", "end", { end: { how: "exited", code: 0 } }));
  expect(reported.items.map(({ asOf }) => asOf)).toEqual([{ epoch: a.epoch, mono: 0 }]);
  const other = new Hand(bench, "a");
  other.epoch = epochOf("other", 1);
  const refused = await other.join();
  expect(refused.items).toMatchObject([{ asOf: { epoch: other.epoch, mono: 0 }, item: { kind: "sync" } }]);
});

test("a future protocol version is refused with a sentence", async () => {
  const bench = await openBench();
  const a = new Hand(bench, "a");
  expect(itemsOf(await a.join({ versions: [7] }), "sync")[0]?.refused).toMatch(/protocol version/);
  expect(await bench.store.worker("a")).toBeNull();
});

test("rule 1: another agent of the same journal and the same count is a clone, however much it knows", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const clone = new Hand(bench, "a");
  clone.epoch = a.epoch.replace(/.$/, "X");
  clone.seq = a.seq + 10;
  expect(itemsOf(await clone.join(), "sync")).toMatchObject([
    { newJournal: true, refused: expect.stringContaining("same journal") },
  ]);
  expect((await bench.store.worker("a"))?.epoch).toBe(a.epoch);
});
