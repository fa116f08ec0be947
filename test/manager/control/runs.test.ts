import { expect, test } from "vitest";
import { reasonOf } from "../../../manager/control/view.ts";
import { joined, running } from "./hand.ts";
import { asker, attemptOf, itemsOf, kindsOf, makeTask, openBench, reasonNow, start, startOf } from "./kit.ts";

test("a start is sent whole, and its reports make it succeed", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench, { params: { city: "Brno", n: "1" }, env: { LANG: "C" }, timeoutSeconds: 60 });
  const item = startOf(task, { params: { city: "Ostrava" } });
  const said = await bench.ask({ kind: "startRun", item, ...asker });
  expect(said.outcome).toMatchObject({ kind: "run", repeated: false, run: { id: item.runId, state: "queued" } });
  const [sent] = itemsOf(said, "start", "a");
  const attempt = await attemptOf(bench, item.runId);
  expect(sent).toMatchObject({
    attempt: attempt.id,
    run: item.runId,
    number: 1,
    driver: "exec",
    spec: { program: "/bin/true" },
    env: {
      LANG: "C",
      PARAM_city: "Ostrava",
      PARAM_n: "1",
      MUSTER_RUN_ID: item.runId,
      MUSTER_ATTEMPT: "1",
      TRACEPARENT: item.trace,
    },
    timeoutSeconds: 60,
    ttlMs: 35_000,
  });
  expect(said.items[0]?.asOf).toEqual({ epoch: a.epoch, mono: a.mono });
  expect(attempt).toMatchObject({ state: "sent", epoch: a.epoch, workerId: "a" });
  expect((await bench.run(item.runId)).state).toBe("starting");
  await a.report(a.next(attempt.id, "accepted"), a.next(attempt.id, "running", { pid: 42, startedAt: 1_234 }));
  expect(await bench.run(item.runId)).toMatchObject({ state: "running", startedAt: 1_234 });
  await a.report(a.next(attempt.id, "progress", { percent: 40, message: "half" }));
  expect((await bench.run(item.runId)).progress).toEqual({ percent: 40, message: "half" });
  const ended = await a.report(a.next(attempt.id, "end", { end: { how: "exited", code: 0 }, result: { x: 1 } }));
  expect(itemsOf(ended, "ack")).toEqual([{ kind: "ack", journal: a.epoch.slice(0, 12), seq: 4 }]);
  expect(await bench.run(item.runId)).toMatchObject({
    state: "succeeded",
    end: { how: "exited", code: 0 },
    result: '{"x":1}',
    tries: 1,
    placements: 1,
  });
  expect(await attemptOf(bench, item.runId)).toMatchObject({ state: "ended", pid: 42, end: { how: "exited", code: 0 } });
  expect(bench.state.runs.size + bench.state.attempts.size).toBe(0);
});

test("events are numbered without gaps across batches", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  await a.finish((await attemptOf(bench, run)).id);
  const events = await bench.store.events({ limit: 100, after: {} });
  expect(events.map((event) => event.number)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter((event) => event.runId === run).map((event) => event.kind)).toEqual([
    "runQueued",
    "attemptSent",
    "attemptAccepted",
    "attemptRunning",
    "attemptEnded",
    "runEnded",
  ]);
});

test.each([
  [{ how: "exited", code: 3 }, "failed"],
  [{ how: "signalled", signal: "SIGSEGV" }, "failed"],
  [{ how: "failedToStart", why: "no such program" }, "failed"],
  [{ how: "timedOut" }, "timedOut"],
  [{ how: "stopped", by: "worker shutdown" }, "stopped"],
  [{ how: "lost", why: "reboot" }, "lost"],
] as const)("an end %j makes the run %s", async (end, state) => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  await a.finish((await attemptOf(bench, run)).id, end);
  expect(await bench.run(run)).toMatchObject({ state, end });
});

test("a failed run is tried again after a doubling pause, and no more often than its task says", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench, { retry: { attempts: 3, backoffSeconds: 4, on: ["failed"] } }));
  await a.finish((await attemptOf(bench, run)).id, { how: "exited", code: 1 });
  expect((await bench.run(run)).state).toBe("retrying");
  expect(reasonNow(bench, run)).toMatch(/^exited 1; try 2 of 3 in [45] s$/);
  expect(itemsOf(await bench.pass(3_900), "start")).toHaveLength(0);
  expect(itemsOf(await bench.pass(1_200), "start")).toMatchObject([{ number: 2, env: { MUSTER_ATTEMPT: "2" } }]);
  await a.finish((await attemptOf(bench, run)).id, { how: "exited", code: 1 });
  expect(itemsOf(await bench.pass(7_900, () => a.beat()), "start")).toHaveLength(0);
  expect(itemsOf(await bench.pass(2_200, () => a.beat()), "start")).toHaveLength(1);
  await a.finish((await attemptOf(bench, run)).id, { how: "exited", code: 9 });
  expect(await bench.run(run)).toMatchObject({ state: "failed", end: { how: "exited", code: 9 }, tries: 3, placements: 3 });
});

test("only the ends that retry.on names are tried again", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench, { retry: { attempts: 3, backoffSeconds: 0, on: ["timedOut"] } });
  const failed = await start(bench, task);
  await a.finish((await attemptOf(bench, failed)).id, { how: "exited", code: 1 });
  expect((await bench.run(failed)).state).toBe("failed");
  const timedOut = await start(bench, task);
  await a.finish((await attemptOf(bench, timedOut)).id, { how: "timedOut" });
  expect((await bench.attempts(timedOut)).length).toBe(2);
});

test("a refused attempt is no try, and the run goes to another worker", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench);
  const run = await start(bench, task);
  const b = await joined(bench, "b");
  await a.report(a.next((await attemptOf(bench, run)).id, "end", { end: { how: "refused", why: "disk full" } }));
  expect(await bench.run(run)).toMatchObject({ state: "queued", tries: 0, placements: 1 });
  expect(reasonNow(bench, run)).toContain("a refused: disk full");
  await bench.pass(300);
  const second = await attemptOf(bench, run);
  expect(second).toMatchObject({ number: 2, workerId: "b" });
  await b.finish(second.id);
  expect(await bench.run(run)).toMatchObject({ state: "succeeded", tries: 1, placements: 2 });
});

test("a run that its only worker refuses is neither stuck nor tried in a hot loop", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  let placements = 0;
  await bench.pass(120_000, async () => {
    const attempt = await attemptOf(bench, run);
    if (attempt.state === "ended") return await a.beat();
    placements += 1;
    return await a.report(a.next(attempt.id, "end", { end: { how: "refused", why: "busy" } }));
  });
  expect(placements).toBeGreaterThan(3);
  expect(placements).toBeLessThan(15);
  expect(reasonNow(bench, run)).toMatch(/refused/);
});

test("a terminal run never changes again: late ends become events", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await a.finish(attempt);
  const before = await bench.store.run(run);
  const repeated = await a.report(a.next(attempt, "end", { end: { how: "exited", code: 0 } }));
  expect(kindsOf(repeated)).toEqual([]);
  const late = await a.report(a.next(attempt, "end", { end: { how: "exited", code: 5 } }));
  expect(kindsOf(late)).toEqual(["lateEnd"]);
  expect(itemsOf(late, "ack")).toMatchObject([{ seq: 5 }]);
  expect(await bench.store.run(run)).toEqual(before);
});

test("stop: a queued run at once, a retrying one too, a running one when its worker says so", async () => {
  const bench = await openBench();
  const task = await makeTask(bench, { retry: { attempts: 2, backoffSeconds: 60, on: ["failed"] }, killGraceSeconds: 7 });
  const queued = await start(bench, task);
  await bench.ask({ kind: "stopRun", runId: queued, graceSeconds: null, ...asker });
  expect(await bench.run(queued)).toMatchObject({ state: "stopped", end: { how: "stopped", by: "ana" } });
  const a = await joined(bench, "a");
  const retrying = await start(bench, task);
  await a.finish((await attemptOf(bench, retrying)).id, { how: "exited", code: 1 });
  await bench.ask({ kind: "stopRun", runId: retrying, graceSeconds: null, ...asker });
  expect((await bench.run(retrying)).state).toBe("stopped");
  const running = await start(bench, task);
  const attempt = (await attemptOf(bench, running)).id;
  await a.report(a.next(attempt, "accepted"), a.next(attempt, "running"));
  const said = await bench.ask({ kind: "stopRun", runId: running, graceSeconds: null, ...asker });
  expect(itemsOf(said, "stop")).toEqual([{ kind: "stop", attempt, by: "ana", graceSeconds: 7 }]);
  expect(said.outcome).toMatchObject({ kind: "run", run: { state: "stopping" } });
  // Nothing heard: it is said again, ever more slowly.
  expect(itemsOf(await bench.pass(15_000, () => a.beat()), "stop").length).toBe(3);
  const quicker = await bench.ask({ kind: "stopRun", runId: running, graceSeconds: 1, ...asker });
  expect(itemsOf(quicker, "stop")).toMatchObject([{ graceSeconds: 1 }]);
  await a.report(a.next(attempt, "stopping"), a.next(attempt, "end", { end: { how: "stopped", by: "ana" } }));
  expect((await bench.run(running)).state).toBe("stopped");
  const again = await bench.ask({ kind: "stopRun", runId: running, graceSeconds: null, ...asker });
  expect(again.outcome).toMatchObject({ kind: "run", run: { state: "stopped" } });
  expect(again.changes).toBe(0);
});

test("a stop for a worker that is lost says so, and until when it is waited for", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run } = await running(bench, a, { giveUpAfterSeconds: 300 });
  await bench.pass(80_000);
  expect(bench.state.workers.get("a")?.row.state).toBe("lost");
  await bench.ask({ kind: "stopRun", runId: run, graceSeconds: null, ...asker });
  expect((await bench.run(run)).state).toBe("stopping");
  expect(reasonNow(bench, run)).toBe(
    "stop asked by ana; worker a has not been heard for 80 s; without it the run is called lost in 220 s",
  );
  await bench.pass(221_000);
  expect((await bench.run(run)).state).toBe("lost");
});

test("a run that was told to stop is not retried and tells its true end", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench, { retry: { attempts: 5, backoffSeconds: 0, on: ["failed"] } }));
  const attempt = (await attemptOf(bench, run)).id;
  await bench.ask({ kind: "stopRun", runId: run, graceSeconds: null, ...asker });
  await a.finish(attempt, { how: "exited", code: 4 });
  expect(await bench.run(run)).toMatchObject({ state: "failed", end: { how: "exited", code: 4 } });
});

test("a stop of a start that is refused, or never came, ends the run stopped", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  await bench.ask({ kind: "stopRun", runId: run, graceSeconds: null, ...asker });
  await a.report(a.next((await attemptOf(bench, run)).id, "end", { end: { how: "refused", why: "draining" } }));
  expect(await bench.run(run)).toMatchObject({ state: "stopped", end: { how: "stopped", by: "ana" } });
});

test("a signal is for running runs only", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const signal = (name: string) => bench.ask({ kind: "signalRun", runId: run, signal: name, ...asker });
  expect(await signal("SIGHUP")).toMatchObject({ code: "impossible" });
  const attempt = (await attemptOf(bench, run)).id;
  await a.report(a.next(attempt, "accepted"), a.next(attempt, "running"));
  expect(await signal("HUP")).toMatchObject({ code: "impossible" });
  expect(itemsOf(await signal("SIGHUP"), "signal")).toEqual([{ kind: "signal", attempt, signal: "SIGHUP" }]);
  expect((await bench.ask({ kind: "signalRun", runId: "nobody", signal: "SIGHUP", ...asker })).code).toBe("not-found");
});

test("of a commit in flight nothing is said: the reason goes with the state that the reader was given", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  const id = await start(bench, await makeTask(bench));
  expect(bench.state.runs.get(id)?.row.state).toBe("starting");
  expect(reasonOf(bench.state, { id, state: "starting" }, bench.now)).toContain("has not answered yet");
  expect(reasonOf(bench.state, { id, state: "queued" }, bench.now)).toBeNull();
  // Its end is in the batch on its way, while part of the queue is in the store only.
  bench.state.queue.queued += 3;
  expect(reasonOf(bench.state, { id: "ended", state: "running" }, bench.now)).toBeNull();
  expect(reasonOf(bench.state, { id: "waits", state: "queued" }, bench.now)).toBe("it waits in the queue behind older runs");
});
