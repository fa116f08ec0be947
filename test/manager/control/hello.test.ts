import { expect, test } from "vitest";
import type { SyncItem } from "../../../schema/messages.ts";
import { alarms } from "../../../manager/control/view.ts";
import { epochOf, Hand, joined } from "./hand.ts";
import { asker, attemptOf, itemsOf, kindsOf, makeTask, openBench, start, startOf, type Bench, type Said } from "./kit.ts";

function syncs(said: Said): SyncItem[] {
  return itemsOf(said, "sync");
}

async function running(
  bench: Bench,
  hand: Hand,
  more: Parameters<typeof makeTask>[1] = {},
): Promise<{ run: string; attempt: string }> {
  const run = await start(bench, await makeTask(bench, more));
  const attempt = (await attemptOf(bench, run)).id;
  await hand.report(hand.next(attempt, "accepted"), hand.next(attempt, "running"));
  return { run, attempt };
}

test("a hello is answered by a sync that names its epoch and connection", async () => {
  const bench = await openBench();
  const a = new Hand(bench, "a");
  const said = await a.join();
  expect(kindsOf(said)).toEqual(["workerJoined", "workerOnline"]);
  expect(syncs(said)).toMatchObject([
    {
      epoch: a.epoch,
      connection: 1,
      keep: [],
      stop: [],
      ack: { journal: a.epoch.slice(0, 12), seq: 0 },
      draining: false,
      settings: { heartbeatMs: 10_000, startTtlMs: 35_000 },
    },
  ]);
  expect(await bench.store.worker("a")).toMatchObject({ state: "online", epoch: a.epoch, http: true });
});

test("rule 1: a higher n of the same journal speaks for its attempts", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await running(bench, a);
  a.restart();
  const said = await a.join();
  expect(syncs(said)).toMatchObject([{ keep: [attempt], stop: [] }]);
  await a.report(a.next(attempt, "end", { end: { how: "exited", code: 0 } }));
  expect((await bench.run(run)).state).toBe("succeeded");
});

test("rule 5: after a reboot the boot clock begins anew, and what is echoed is the successor's own", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  a.restart();
  await a.join({ mono: 5_000 });
  const said = await bench.ask({ kind: "startRun", item: startOf(await makeTask(bench)), ...asker });
  expect(said.items).toMatchObject([{ item: { kind: "start" }, asOf: { epoch: a.epoch, mono: 5_000 } }]);
});

test("rule 1: another journal under a known id is refused until the old one is lost", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  const other = new Hand(bench, "a");
  other.epoch = epochOf("other", 1);
  const said = await other.join();
  expect(syncs(said)[0]?.refused).toMatch(/^duplicate worker id/);
  expect(said.items[0]?.asOf.epoch).toBe(other.epoch);
  expect(kindsOf(said)).toContain("workerRefused");
  expect(kindsOf(await other.join())).not.toContain("workerRefused");
  expect(alarms(bench.state, bench.now).map((alarm) => alarm.kind)).toEqual(["workerRefused"]);
  await bench.pass(76_000);
  expect((await bench.store.worker("a"))?.state).toBe("lost");
  expect(syncs(await other.join())[0]?.refused).toBeUndefined();
  expect(alarms(bench.state, bench.now)).toEqual([]);
});

test("rule 1: a copy of the journal, a lower epoch and a journal that was given up must make new ones", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await running(bench, a);
  const clone = new Hand(bench, "a");
  clone.epoch = a.epoch.replace(/.$/, "X");
  expect(syncs(await clone.join())).toMatchObject([{ newJournal: true }]);
  const restored = new Hand(bench, "a");
  restored.restart();
  restored.seq = 1;
  expect(syncs(await restored.join())[0]).toMatchObject({ newJournal: true, refused: expect.stringContaining("restored copy") });
  // What its agent found out at its start, such as what a reboot ended, brings its numbers up to ours; it is a copy all the same.
  restored.restart();
  restored.seq = 3;
  expect(syncs(await restored.join({ seqAtStart: 1 }))[0]).toMatchObject({ newJournal: true });
  a.restart();
  await a.join();
  const earlier = new Hand(bench, "a");
  expect(syncs(await earlier.join())).toMatchObject([{ newJournal: true }]);
  expect(alarms(bench.state, bench.now).map((alarm) => alarm.kind)).toContain("lowerEpoch");
  await bench.pass(76_000);
  const other = new Hand(bench, "a");
  other.epoch = epochOf("other", 1);
  await other.join();
  await bench.pass(76_000);
  a.connection += 1;
  expect(syncs(await a.join())).toMatchObject([{ newJournal: true }]);
});

test("rule 2: a start that died with its epoch is placed again without counting a try", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  a.restart();
  await a.join();
  await bench.pass(300);
  expect((await bench.attempts(run)).map((attempt) => attempt.end)).toEqual([{ how: "refused", why: "agent restarted" }, null]);
  expect(await bench.run(run)).toMatchObject({ tries: 1, placements: 2, state: "starting" });
  expect((await attemptOf(bench, run)).epoch).toBe(a.epoch);
});

test("rule 7: an inventory without a start proves nothing while the start may still be fresh", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const mono = a.mono;
  await a.join();
  expect((await attemptOf(bench, run)).state).toBe("sent");
  // Each resend makes it fresh again: only a snapshot later than that of the last one counts.
  await bench.pass(59_000, () => a.beat());
  await a.join({ mono: mono + 35_001 });
  expect((await attemptOf(bench, run)).state).toBe("sent");
  await bench.pass(40_000, () => a.beat());
  await a.join();
  expect((await bench.attempts(run))[0]).toMatchObject({ state: "ended", end: { how: "refused", why: "its start never came" } });
});

test("rule 7: an echo that rose within the batch of a send counts for it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const first = a.mono;
  const run = await start(bench, await makeTask(bench));
  bench.now.mono += 2_000;
  // The envelope of the resend takes the mono of the heartbeat that shares its batch.
  const said = await bench.batch({ kind: "tick" }, a.beatInput({ mono: first + 10_000 }));
  expect(itemsOf(said, "start")).toHaveLength(1);
  await a.join({ mono: first + 35_001 });
  expect((await attemptOf(bench, run)).state).toBe("sent");
});

test("rule 7: an inventory proves nothing of a start that its own batch sends again: the echo may rise after it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const first = a.mono;
  const run = await start(bench, await makeTask(bench));
  bench.now.mono += 40_000;
  const said = await bench.batch({ kind: "tick" }, a.helloInput({ mono: first + 36_000 }), a.beatInput({ mono: first + 40_000 }));
  expect(itemsOf(said, "start").length).toBeGreaterThan(0);
  expect((await attemptOf(bench, run)).state).toBe("sent");
  await a.join({ mono: first + 75_001 });
  expect((await bench.attempts(run))[0]).toMatchObject({ state: "ended", end: { how: "refused", why: "its start never came" } });
});

test("rule 7 and 15: what an earlier leader sent is disproved only by a worker that obeys the new one", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const first = (await attemptOf(bench, run)).id;
  await bench.ask({ kind: "stopRun", runId: run, graceSeconds: null, ...asker });
  const old = bench.term;
  await bench.takeOver();
  await bench.pass(50_000);
  await a.join({ highestTerm: old });
  expect((await attemptOf(bench, run)).state).toBe("sent");
  await bench.pass(1_000);
  const said = await a.join({ highestTerm: bench.term });
  expect(kindsOf(said)).toEqual(["attemptEnded", "runEnded"]);
  expect((await bench.attempts(run)).map((attempt) => [attempt.id, attempt.end])).toEqual([
    [first, { how: "refused", why: "its start never came" }],
  ]);
  expect((await bench.run(run)).state).toBe("stopped");
});

test("rule 2: a start is never sent to another epoch than the one it is bound to", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const { id: attempt } = await attemptOf(bench, run);
  await bench.pass(100);
  a.restart();
  const said = await a.join({
    newestSeq: 1,
    inventory: {
      part: 1,
      of: 1,
      items: [{ attempt, run, start: 1, state: "ended", end: { how: "refused", why: "agent restarted" } }],
    },
  });
  expect(itemsOf(said, "start")).toEqual([]);
  expect(itemsOf(await bench.pass(1_000), "start")).toEqual([]);
  expect((await attemptOf(bench, run)).state).toBe("sent");
  a.seq = 0;
  await a.report(a.next(attempt, "end", { end: { how: "refused", why: "agent restarted" } }));
  await bench.pass(1_000);
  expect((await attemptOf(bench, run)).number).toBe(2);
});

test("rule 7: a snapshot taken before the acceptance was reported does not take the attempt back", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  const old = a.helloInput();
  await bench.pass(50);
  await a.report(a.next(attempt, "accepted"));
  await bench.batch(old);
  expect((await attemptOf(bench, run)).state).toBe("accepted");
  // And one without it that is later says that the worker has lost it.
  await bench.pass(50);
  a.live.clear();
  await a.join();
  expect((await bench.run(run)).state).toBe("lost");
});

test("rule 14: unknown attempts are shown once and left alone; ended ones that live on are stopped", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  a.live.set("stranger", { attempt: "stranger", run: "r", start: 1, state: "running" });
  a.connection += 1;
  const said = await a.join();
  expect(kindsOf(said)).toEqual(["attemptFound"]);
  expect(syncs(said)).toMatchObject([{ keep: [], stop: [] }]);
  expect(kindsOf(await a.join())).toEqual([]);
  const { run, attempt } = await running(bench, a, { onLost: "fail" });
  await bench.pass(76_000);
  expect((await bench.run(run)).state).toBe("lost");
  expect((await attemptOf(bench, run)).state).toBe("running");
  a.connection += 1;
  expect(syncs(await a.join())).toMatchObject([{ keep: [], stop: [attempt] }]);
});

test("rule 13: an inventory in parts counts when it is whole, in any order", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const { run, attempt } = await running(bench, a);
  a.restart();
  const item = a.live.get(attempt)!;
  const part = (number: number, items: (typeof item)[]) => a.join({ inventory: { part: number, of: 2, items } });
  expect(syncs(await part(2, []))).toEqual([]);
  expect((await bench.run(run)).state).toBe("running");
  expect(syncs(await part(1, [item]))).toMatchObject([{ keep: [attempt] }]);
});

test("rule 13: whoever is heard without a hello in this term is asked for it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await bench.takeOver();
  const asked = await a.beat();
  expect(itemsOf(asked, "ask")).toEqual([{ kind: "ask", hello: true }]);
  await bench.pass(500);
  expect(itemsOf(await a.beat(), "ask")).toEqual([]);
  await bench.pass(2_000);
  expect(itemsOf(await a.beat(), "ask")).toHaveLength(1);
  const stranger = new Hand(bench, "never-met");
  expect(itemsOf(await stranger.beat(), "ask")).toHaveLength(1);
  expect(itemsOf(await bench.batch(stranger.statusInput("on")), "ask")).toHaveLength(1);
});

test("a hello of an older connection, or of one that is gone, is passed over", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const old = a.helloInput();
  a.connection = 2;
  await a.join();
  expect(syncs(await bench.batch(old))).toEqual([]);
  await bench.batch(a.statusInput("gone"));
  expect(syncs(await a.join())).toEqual([]);
  expect((await bench.store.worker("a"))?.state).toBe("unreachable");
  a.connection = 3;
  expect(syncs(await a.join())).toHaveLength(1);
  expect((await bench.store.worker("a"))?.state).toBe("online");
});

test("rule 28: a higher term is told to the shell; reports acknowledged beyond ours mean lost history, and its ledger is asked for", async () => {
  const bench = await openBench();
  const a = new Hand(bench, "a");
  expect((await a.join({ highestTerm: 9 })).notes).toContainEqual({ what: "higherTerm", workerId: "a", detail: "9" });
  a.acked = 20;
  a.seq = 20;
  a.connection = 2;
  const asked = await a.join();
  expect(syncs(asked)).toEqual([]);
  expect(itemsOf(asked, "ask")).toEqual([{ kind: "ask", ledger: { journal: a.epoch.slice(0, 12), above: 0 } }]);
  expect(alarms(bench.state, bench.now).map((alarm) => alarm.kind)).toContain("historyLost");
  const said = await a.join({ ledger: { above: 0, upTo: 20, forgotten: 0 } });
  expect(said.events.find((event) => event.kind === "gap")?.data).toMatchObject({ from: 1, to: 20 });
  expect(syncs(said)).toMatchObject([{ ack: { seq: 20 } }]);
  const { run } = await running(bench, a);
  expect((await bench.run(run)).state).toBe("running");
});
