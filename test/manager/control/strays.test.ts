/** Attempts that go on where nobody wants them any more, and snapshots that were put together from two. */
import { expect, test } from "vitest";
import { joined, type Hand } from "./hand.ts";
import { asker, attemptOf, itemsOf, makeTask, openBench, start, type Bench } from "./kit.ts";

async function runningOn(bench: Bench, hand: Hand): Promise<{ readonly run: string; readonly attempt: string }> {
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await hand.report(hand.next(attempt, "accepted"), hand.next(attempt, "running"));
  return { run, attempt };
}

test("what a removed worker's next life still runs has ended here, and is stopped there (I8)", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { attempt } = await runningOn(bench, a);
  await bench.ask({ kind: "deleteWorker", workerId: "a", stop: true, ...asker });
  // Long after, and under another leader: only the store knows the attempt.
  await bench.pass(60_000);
  await bench.takeOver();
  a.restart();
  expect(itemsOf(await a.join(), "sync")).toMatchObject([{ keep: [], stop: [attempt] }]);
  // An end that is still to be told is none to stop.
  a.live.set(attempt, { attempt, run: "r", start: 1, state: "ended", end: { how: "exited", code: 0 } });
  a.connection += 1;
  expect(itemsOf(await a.join(), "sync")).toMatchObject([{ keep: [], stop: [] }]);
});

test("rule 13: parts of two snapshots are not one inventory, though each number came", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await runningOn(bench, a);
  a.restart();
  const item = { attempt, run, start: 1, state: "running" } as const;
  await bench.pass(1_000);
  const whole = [
    a.helloInput({ inventory: { part: 1, of: 2, items: [] } }),
    a.helloInput({ inventory: { part: 2, of: 2, items: [item] } }),
  ];
  // Repeated a while later, by when the attempts had changed places in it.
  await bench.pass(2_000);
  const again = [
    a.helloInput({ inventory: { part: 1, of: 2, items: [item] } }),
    a.helloInput({ inventory: { part: 2, of: 2, items: [] } }),
  ];
  const [firstOfOne, , , lastOfOther] = [...whole, ...again];
  expect(itemsOf(await bench.batch(firstOfOne!, lastOfOther!), "sync")).toEqual([]);
  expect((await bench.run(run)).state).toBe("running");
  expect(itemsOf(await bench.batch(again[0]!), "sync")).toMatchObject([{ keep: [attempt] }]);
});

test("a stop that was lost on the wire is said again, whatever else the worker tells meanwhile (I9)", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await runningOn(bench, a);
  const asked = await bench.ask({ kind: "stopRun", runId: run, graceSeconds: 1, ...asker });
  expect(itemsOf(asked, "stop")).toMatchObject([{ attempt }]);
  const news = await a.report(a.next(attempt, "progress", { percent: 50 }));
  expect(itemsOf(news, "stop")).toEqual([]);
  expect(itemsOf(await bench.pass(3_000), "stop")).toMatchObject([{ attempt }]);
});

test("the last will of an earlier life is no news of the present one, however many connections that life had (rule 1)", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  a.connection = 5;
  await a.join();
  const will = a.statusInput("gone");
  a.restart();
  await a.join();
  await bench.batch(will);
  await bench.pass(1_000);
  await a.beat();
  expect((await bench.store.worker("a"))?.state).toBe("online");
});

test("rule 13: a new leader gives nothing to a worker that beats and has not said hello to it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await bench.takeOver();
  await bench.pass(1_000);
  await a.beat();
  const run = await start(bench, await makeTask(bench));
  expect((await bench.run(run)).state).toBe("queued");
  a.connection += 1;
  await a.join();
  expect((await bench.run(run)).state).toBe("starting");
});

test("rule 28: a page of a ledger that begins above what was applied leaves a hole, and is not the whole of it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  a.acked = 9;
  a.seq = 9;
  a.connection += 1;
  const said = await a.join({ ledger: { above: 5, upTo: 9, forgotten: 0 } });
  expect(itemsOf(said, "sync")).toEqual([]);
  expect(itemsOf(said, "ask").map(({ ledger }) => ledger)).toContainEqual({ journal: a.epoch.slice(0, 12), above: 0 });
});
