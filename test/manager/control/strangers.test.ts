import { expect, test } from "vitest";
import { alarms } from "../../../manager/control/view.ts";
import { epochOf, Hand, joined } from "./hand.ts";
import { itemsOf, kindsOf, openBench } from "./kit.ts";
import { worker } from "../../contract/store/rows.ts";

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

test("the alarm about a second agent stands while that one tries, whoever else comes again, and ends when it stays away", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const other = new Hand(bench, "a");
  other.epoch = epochOf("other", 1);
  const kinds = (): string[] => alarms(bench.state, bench.now).map((alarm) => alarm.kind);
  const told: string[] = kindsOf(await other.join());
  // A broker with one connection for each name cuts the first agent off when the second one comes: it is back within a second.
  for (let tries = 0; tries < 60; tries += 1) {
    await a.join();
    expect(kinds(), `after ${tries} tries`).toEqual(["workerRefused"]);
    await bench.pass(70_000);
    told.push(...kindsOf(await other.join()));
  }
  expect(told.filter((kind) => kind === "alarm" || kind === "workerRefused")).toHaveLength(2);
  await a.join();
  await bench.pass(599_000);
  expect(kinds()).toEqual(["workerRefused"]);
  await bench.pass(2_000);
  expect(kinds()).toEqual([]);
});

test("a worker id that another pool has is refused with a sentence, and said once; the pool goes on", async () => {
  const bench = await openBench();
  const lease = await bench.store.takeLease("east", "somebody", null, 0);
  const row = worker({ id: "a", pool: "east", state: "removed" });
  await bench.store.commit({ pool: "east", term: lease?.term ?? 0, batch: 1, changes: [{ op: "insertWorker", row }] });
  const moved = new Hand(bench, "a");
  const said = await moved.join();
  expect(itemsOf(said, "sync")).toMatchObject([{ refused: expect.stringContaining("belongs to pool east") }]);
  expect(kindsOf(said)).toEqual(["alarm", "workerRefused"]);
  moved.connection += 1;
  expect(kindsOf(await moved.join())).toEqual([]);
  expect((await bench.store.worker("a"))?.pool).toBe("east");
  expect((await joined(bench, "b")).bench.state.workers.get("b")?.row.state).toBe("online");
});
