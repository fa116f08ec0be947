import { expect, test } from "vitest";
import { alarms, figures } from "../../../manager/control/view.ts";
import { epochOf, Hand, joined, running } from "./hand.ts";
import { attemptOf, itemsOf, kindsOf, makeTask, openBench, optionsWith, reasonNow, start, type Bench } from "./kit.ts";

const stateOf = async (bench: Bench, worker: string) => (await bench.store.worker(worker))?.state;

test("silence: unreachable after 2.5 intervals, lost after 7.5, and a heartbeat brings it back", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a);
  await bench.pass(24_000);
  expect(await stateOf(bench, "a")).toBe("online");
  await bench.pass(2_000);
  expect(await stateOf(bench, "a")).toBe("unreachable");
  expect((await bench.run(run)).state).toBe("unreachable");
  expect(reasonNow(bench, run)).toBe("worker a has not been heard for 26 s");
  expect(kindsOf(await a.beat())).toEqual(["workerOnline"]);
  expect((await bench.run(run)).state).toBe("running");
  await bench.pass(74_000);
  expect(await stateOf(bench, "a")).toBe("unreachable");
  await bench.pass(2_000);
  expect(await stateOf(bench, "a")).toBe("lost");
  expect(itemsOf(await a.beat(), "ask")).toHaveLength(1);
  expect(await stateOf(bench, "a")).toBe("lost");
  await a.join();
  expect(await stateOf(bench, "a")).toBe("online");
  expect((await bench.run(run)).state).toBe("running");
});

test("a repeated or delayed heartbeat is no sign of life", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const beat = a.beatInput();
  await bench.pass(26_000, () => bench.batch(beat));
  expect(await stateOf(bench, "a")).toBe("unreachable");
});

test("off and gone of the current connection make it unreachable at once, others are passed over", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  a.connection = 2;
  await a.join();
  a.connection = 1;
  await bench.batch(a.statusInput("gone"));
  expect(await stateOf(bench, "a")).toBe("online");
  a.connection = 2;
  await bench.batch(a.statusInput("off"));
  expect(await stateOf(bench, "a")).toBe("unreachable");
  await bench.pass(1_000);
  await a.beat();
  expect(await stateOf(bench, "a")).toBe("unreachable");
});

test("rule 10: a gap of our own is nobody's silence", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a, { onLost: "fail" });
  bench.now.mono += 600_000;
  await bench.batch({ kind: "tick" });
  expect(await stateOf(bench, "a")).toBe("online");
  await bench.pass(20_000);
  expect((await bench.run(run)).state).toBe("running");
  await bench.pass(60_000);
  expect((await bench.run(run)).state).toBe("lost");
});

test("rule 18: a new leader declares nobody lost before a full loss period of its own", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a, { onLost: "fail" });
  await bench.pass(70_000);
  await bench.takeOver();
  await bench.pass(74_000);
  expect(await stateOf(bench, "a")).toBe("unreachable");
  await bench.pass(2_000);
  expect(await stateOf(bench, "a")).toBe("lost");
  expect((await bench.run(run)).state).toBe("lost");
});

test("onLost wait: it is kept until given up, and its late end changes nothing but its attempt", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await running(bench, a, { giveUpAfterSeconds: 300 });
  await bench.pass(290_000);
  expect((await bench.run(run)).state).toBe("unreachable");
  await bench.pass(11_000);
  expect(await bench.run(run)).toMatchObject({ state: "lost", end: { how: "lost" } });
  await bench.takeOver();
  a.connection = 2;
  const said = await a.join();
  expect(itemsOf(said, "sync")).toMatchObject([{ stop: [attempt], keep: [] }]);
  const late = await a.report(a.next(attempt, "end", { end: { how: "stopped", by: "manager" } }));
  expect(kindsOf(late)).toEqual(["attemptEnded", "lateEnd"]);
  expect((await bench.run(run)).state).toBe("lost");
  expect((await attemptOf(bench, run)).end).toEqual({ how: "stopped", by: "manager" });
});

test("onLost retry: another attempt only once the fence has passed, counted from the last heartbeat", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench, {
    onLost: "retry",
    lostAfterSeconds: 100,
    killGraceSeconds: 5,
    retry: { attempts: 1, backoffSeconds: 0, on: [] },
  });
  const run = await start(bench, task);
  await a.report(a.next((await attemptOf(bench, run)).id, "running"));
  const b = await joined(bench, "b");
  await bench.pass(108_000, () => b.beat());
  expect((await bench.attempts(run)).length).toBe(1);
  await bench.pass(3_000, () => b.beat());
  expect(await attemptOf(bench, run)).toMatchObject({ number: 2, workerId: "b" });
  expect((await bench.run(run)).tries).toBe(2);
});

test("onLost retry: a new leader waits for the whole fence of its own", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a, { onLost: "retry", lostAfterSeconds: 100, killGraceSeconds: 5 });
  await bench.pass(100_000);
  await bench.takeOver();
  await bench.pass(108_000);
  expect((await bench.attempts(run))[0]?.state).toBe("running");
  await bench.pass(3_000);
  expect((await bench.attempts(run))[0]?.state).toBe("ended");
});

test("onLost retry: a lost worker that beats again moves its fence by the echo, so the wait for the fence begins anew", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a, { onLost: "retry", lostAfterSeconds: 100, killGraceSeconds: 5 });
  await bench.pass(90_000);
  expect(await stateOf(bench, "a")).toBe("lost");
  // It is asked for its hello, which does not come; the question echoed its beat, and its host goes on for 100 s from there.
  expect(itemsOf(await a.beat(), "ask")).toHaveLength(1);
  await bench.pass(100_000);
  expect((await bench.attempts(run))[0]?.state).toBe("running");
  await bench.pass(10_000);
  expect((await bench.attempts(run))[0]?.state).toBe("ended");
});

test("a fence is kept alive by an echo with each heartbeat, others need none", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await running(bench, a, { onLost: "retry", lostAfterSeconds: 100 });
  await bench.pass(10_000);
  const said = await a.beat();
  expect(said.items).toMatchObject([{ asOf: { epoch: a.epoch, mono: a.mono }, item: { kind: "ack", seq: 2 } }]);
  const b = await joined(bench, "b");
  await running(bench, b);
  await bench.pass(10_000);
  expect((await b.beat()).items).toEqual([]);
});

test("stopped by its own fence is a loss: with retry another attempt follows at once", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await running(bench, a, {
    onLost: "retry",
    lostAfterSeconds: 100,
    retry: { attempts: 1, backoffSeconds: 0, on: [] },
  });
  await a.report(a.next(attempt, "end", { end: { how: "stopped", by: "fence" } }));
  expect((await attemptOf(bench, run)).number).toBe(2);
});

test("a worker that comes back without a run has lost it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a);
  await bench.pass(100_000);
  const anew = new Hand(bench, "a");
  anew.epoch = epochOf("anew", 1);
  await anew.join();
  expect(await bench.run(run)).toMatchObject({ state: "lost", end: { why: "its worker came back without it" } });
});

test("onLost retry: one that its worker came back without may run still, so another attempt waits for the fence", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await running(bench, a, { onLost: "retry", lostAfterSeconds: 100 });
  await bench.pass(5_000);
  a.live.delete(attempt);
  a.connection = 2;
  await a.join();
  expect((await bench.run(run)).state).toBe("retrying");
  const beats = async () => await a.beat();
  expect(itemsOf(await bench.pass(100_000, beats), "start")).toEqual([]);
  expect(itemsOf(await bench.pass(30_000, beats), "start")[0]).toMatchObject({ run, number: 2 });
});

test("fleet brake: when many vanish at once nobody is lost until it lets go, one after the other", async () => {
  const bench = await openBench(optionsWith({ timing: { brakeHoldMs: 200_000, brakeReleasePerSecond: 1 } }));
  for (let i = 0; i < 10; i += 1) await joined(bench, `w${i}`);
  await bench.pass(190_000);
  expect(figures(bench.state).workersByState).toEqual({ unreachable: 10 });
  expect(alarms(bench.state, bench.now).map((alarm) => alarm.kind)).toEqual(["fleetBrake"]);
  await bench.pass(40_000);
  const { lost = 0 } = figures(bench.state).workersByState;
  expect(lost).toBeGreaterThan(2);
  expect(lost).toBeLessThan(10);
  await bench.pass(20_000);
  expect(figures(bench.state).workersByState).toEqual({ lost: 10 });
  expect(alarms(bench.state, bench.now)).toEqual([]);
});

test("fleet brake: it is over when they are back, and three of three are not a fleet", async () => {
  const bench = await openBench();
  const hands: Hand[] = [];
  for (let i = 0; i < 6; i += 1) hands.push(await joined(bench, `w${i}`));
  await bench.pass(30_000);
  expect(alarms(bench.state, bench.now)).toHaveLength(1);
  for (const hand of hands) await hand.beat();
  await bench.pass(1_000);
  expect(alarms(bench.state, bench.now)).toEqual([]);
  const small = await openBench();
  for (let i = 0; i < 3; i += 1) await joined(small, `w${i}`);
  await small.pass(80_000);
  expect(figures(small.state).workersByState).toEqual({ lost: 3 });
});

test("fleet brake: one that went and came back does not make three others a fleet, nor keep the next one from making it", async () => {
  const bench = await openBench();
  const hands: Hand[] = [];
  for (let i = 0; i < 5; i += 1) hands.push(await joined(bench, `w${i}`));
  const [first, second, third, fourth, fifth] = hands as [Hand, Hand, Hand, Hand, Hand];
  await bench.batch(first.statusInput("gone"));
  first.connection += 1;
  await first.join();
  await bench.pass(2_000);
  for (const hand of [second, third, fourth]) await bench.batch(hand.statusInput("gone"));
  await bench.pass(1_000);
  expect(alarms(bench.state, bench.now)).toEqual([]);
  await bench.batch(fifth.statusInput("gone"));
  await bench.pass(100_000);
  expect(figures(bench.state).workersByState).toEqual({ unreachable: 5 });
  expect(alarms(bench.state, bench.now).map((alarm) => alarm.kind)).toEqual(["fleetBrake"]);
});

test("fleet brake: a new leader that finds the fleet silent holds it too", async () => {
  const bench = await openBench();
  for (let i = 0; i < 10; i += 1) await joined(bench, `w${i}`);
  await bench.pass(30_000);
  await bench.takeOver();
  await bench.pass(100_000);
  expect(figures(bench.state).workersByState).toEqual({ unreachable: 10 });
  expect(alarms(bench.state, bench.now).map((alarm) => alarm.kind)).toEqual(["fleetBrake"]);
});

test("an alarm that nobody repeats is over after an hour", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  await new Hand(bench, "a").join({ highestTerm: 99, connection: 2 });
  expect(alarms(bench.state, bench.now)).toHaveLength(1);
  bench.now.mono += 3_600_000;
  expect(alarms(bench.state, bench.now)).toHaveLength(0);
});

test("two quiet beats whose digest differs make the leader ask for a hello; one does not", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await running(bench, a);
  await a.beat();
  await bench.pass(10_000);
  expect(itemsOf(await a.beat(), "ask")).toEqual([]);
  a.live.clear();
  await bench.pass(10_000);
  expect(itemsOf(await a.beat(), "ask")).toEqual([]);
  await bench.pass(10_000);
  expect(itemsOf(await a.beat(), "ask")).toEqual([{ kind: "ask", hello: true }]);
});

test("beats between which something changed are not compared: news were under way", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench);
  let asked = 0;
  for (let i = 0; i < 6; i += 1) {
    const { id } = await attemptOf(bench, await start(bench, task));
    await a.report(a.next(id, "accepted"));
    await bench.pass(10_000);
    asked += itemsOf(await a.beat({ live: { count: 0, hash: "0".repeat(16) } }), "ask").length;
  }
  expect(asked).toBe(0);
});
