import { expect, test } from "vitest";
import { workerLive } from "../../../manager/control/view.ts";
import { joined } from "./hand.ts";
import { asker, attemptOf, itemsOf, makeTask, openBench, optionsWith, start } from "./kit.ts";

const drain = (workerId: string, on: boolean) => ({ kind: "drainWorker", workerId, on, ...asker }) as const;

test("drain: no new runs, drained once nothing lives, said again until the worker knows, undone by undrain", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench);
  const run = await start(bench, task);
  const said = await bench.ask(drain("a", true));
  expect(itemsOf(said, "drain")).toEqual([{ kind: "drain", on: true }]);
  expect(said.outcome).toMatchObject({ worker: { state: "draining", draining: true } });
  const waits = await start(bench, task);
  expect((await bench.run(waits)).state).toBe("queued");
  await bench.pass(1_000);
  expect(itemsOf(await a.beat({ draining: false }), "drain")).toHaveLength(1);
  await a.finish((await attemptOf(bench, run)).id);
  expect((await bench.store.worker("a"))?.state).toBe("drained");
  await bench.takeOver();
  a.connection += 1;
  expect(itemsOf(await a.join(), "sync")).toMatchObject([{ draining: true }]);
  expect((await bench.store.worker("a"))?.state).toBe("drained");
  await bench.ask(drain("a", false));
  expect((await bench.run(waits)).state).toBe("starting");
  expect((await bench.ask(drain("nobody", true))).code).toBe("not-found");
});

test("an unreachable worker can be drained and comes back draining", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await start(bench, await makeTask(bench));
  await bench.batch(a.statusInput("gone"));
  await bench.ask(drain("a", true));
  expect((await bench.store.worker("a"))?.state).toBe("unreachable");
  a.connection += 1;
  await a.join();
  expect((await bench.store.worker("a"))?.state).toBe("draining");
});

test("removing a worker: 409 with live runs, with stop they end lost at once, and a retry waits for its fence", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  const plain = await start(bench, await makeTask(bench, { retry: { attempts: 5, backoffSeconds: 0 } }));
  const fenced = await start(
    bench,
    await makeTask(bench, {
      onLost: "retry",
      lostAfterSeconds: 100,
      killGraceSeconds: 5,
      retry: { attempts: 1, backoffSeconds: 0, on: [] },
    }),
  );
  const remove = (stop: boolean) => bench.ask({ kind: "deleteWorker", workerId: "a", stop, ...asker });
  expect((await remove(false)).code).toBe("live-runs");
  const said = await remove(true);
  expect(itemsOf(said, "stop")).toHaveLength(2);
  expect(said.outcome).toMatchObject({ kind: "worker", worker: { state: "removed" } });
  expect(await bench.run(plain)).toMatchObject({ state: "lost", end: { how: "lost", why: "worker removed" } });
  expect((await bench.run(fenced)).state).toBe("retrying");
  const b = await joined(bench, "b");
  await bench.pass(60_000, () => b.beat());
  expect(await bench.attempts(fenced)).toHaveLength(1);
  // Whoever leads next does not know how much of the wait is over.
  await bench.takeOver();
  b.connection += 1;
  await b.join();
  await bench.pass(108_000, () => b.beat());
  expect(await bench.attempts(fenced)).toHaveLength(1);
  await bench.pass(2_000, () => b.beat());
  expect(await bench.attempts(fenced)).toHaveLength(2);
  expect((await remove(true)).code).toBe("not-found");
});

test("a removed worker is told to stop what it still runs and sent away; its agent's next life may join again", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await a.report(a.next(attempt, "running"));
  await bench.ask({ kind: "deleteWorker", workerId: "a", stop: true, ...asker });
  const said = await a.join();
  expect(itemsOf(said, "stop")).toMatchObject([{ attempt }]);
  expect(itemsOf(said, "sync")[0]).toMatchObject({ refused: expect.stringContaining("was removed") });
  expect((await bench.store.worker("a"))?.state).toBe("removed");
  a.restart();
  expect(itemsOf(await a.join(), "sync")[0]).not.toHaveProperty("refused");
  expect((await bench.store.worker("a"))?.state).toBe("online");
});

test("labels set through the API overlay the worker's own and outlive its hello", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", { labels: { zone: "a", disk: "ssd" } });
  const said = await bench.ask({ kind: "labelWorker", workerId: "a", labels: { zone: "b" }, ...asker });
  expect(said.outcome).toMatchObject({ worker: { ownLabels: { zone: "a" }, apiLabels: { zone: "b" } } });
  a.connection += 1;
  await a.join();
  const run = await start(bench, await makeTask(bench, { constraints: ["label.zone=b", "label.disk=ssd"] }));
  expect((await bench.run(run)).state).toBe("starting");
  expect((await bench.ask({ kind: "labelWorker", workerId: "a", labels: { "bad key": "x" }, ...asker })).code).toBe("impossible");
});

test("what only the leader knows of a worker", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await start(bench, await makeTask(bench, { requires: { slots: 2, memoryMb: 10, cpus: 0.5 } }));
  await bench.pass(1_000);
  await a.beat({ load: { cpu: 0.25, memoryMb: 77 } });
  expect(workerLive(bench.state, "a", bench.now)).toEqual({
    used: { slots: 2, memoryMb: 10, cpus: 0.5 },
    load: { cpu: 0.25, memoryMb: 77 },
    attempts: 1,
    lastSeenWall: bench.now.wall,
    clockAhead: null,
    heartbeatMs: 10_000,
    reason: null,
  });
  await bench.takeOver();
  expect(workerLive(bench.state, "a", bench.now)).toMatchObject({
    attempts: 1,
    reason: "it has not introduced itself to this manager yet",
  });
  expect(workerLive(bench.state, "nobody", bench.now)).toBeNull();
});

test("a heartbeat with other settings is answered with ours; the interval grows with the fleet", async () => {
  const bench = await openBench(optionsWith({ timing: { fleetBeatsPerSecond: 1 } }));
  const a = await joined(bench, "a");
  expect(workerLive(bench.state, "a", bench.now)?.heartbeatMs).toBe(10_000);
  for (let i = 0; i < 11; i += 1) await joined(bench, `w${i}`);
  await bench.pass(1_000);
  expect(itemsOf(await a.beat({ settingsVersion: 1 }), "settings")).toMatchObject([
    { heartbeatMs: 20_000, startTtlMs: 70_000, workerLostMs: 150_000 },
  ]);
  await bench.pass(30_000, () => a.beat());
  expect(itemsOf(await a.beat(), "settings")).toEqual([]);
});
