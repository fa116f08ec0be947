import { expect, test } from "vitest";
import type { Report } from "../../../schema/messages.ts";
import { Hand, joined } from "./hand.ts";
import { attemptOf, itemsOf, kindsOf, makeTask, openBench, start } from "./kit.ts";

test("rule 12: in order, once, and what comes after a gap waits", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  const [one, two, three] = [
    a.next(attempt, "accepted"),
    a.next(attempt, "running"),
    a.next(attempt, "end", { end: { how: "exited", code: 0 } }),
  ];
  const seqOf = (said: Awaited<ReturnType<Hand["report"]>>) => itemsOf(said, "ack").map((ack) => ack.seq);
  expect(seqOf(await a.report(three))).toEqual([0]);
  expect((await bench.run(run)).state).toBe("starting");
  expect(seqOf(await a.report(two, one))).toEqual([2]);
  expect((await bench.run(run)).state).toBe("running");
  expect(seqOf(await a.report(one, two, three))).toEqual([3]);
  const again = await a.report(one, two, three);
  expect(seqOf(again)).toEqual([3]);
  expect(kindsOf(again)).toEqual([]);
  expect(again.changes).toBe(0);
  const older = await a.report(one);
  expect(seqOf(older)).toEqual([3]);
  expect(older.changes).toBe(0);
});

test("rule 12: a new leader goes on where the commit was", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await a.report(a.next(attempt, "accepted"));
  await bench.takeOver();
  const said = await a.report(a.next(attempt, "running"));
  expect(itemsOf(said, "ack")).toMatchObject([{ seq: 2 }]);
  expect(itemsOf(said, "ask")).toEqual([{ kind: "ask", hello: true }]);
  expect((await bench.run(run)).state).toBe("running");
});

test("rule 19: an unreadable end becomes lost{unreadable end}; another unreadable item is set aside and its neighbours live", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench);
  const [first, second] = [await start(bench, task), await start(bench, task)];
  const [one, two] = [(await attemptOf(bench, first)).id, (await attemptOf(bench, second)).id];
  a.seq = 4;
  const items: Report[] = [1, 4].map((seq, at) => ({ seq, attempt: at === 0 ? one : two, start: 1, kind: "accepted", at: 0 }));
  const unreadable = [
    { seq: 2, attempt: one, kind: "end", raw: "{bad}", why: "end: wrong" },
    { seq: 3, raw: "{worse}", why: "nothing is right" },
  ];
  const said = await bench.batch({
    kind: "reports",
    workerId: "a",
    message: { ...a.head(), journal: a.epoch.slice(0, 12), items, unreadable },
  });
  expect(itemsOf(said, "ack")).toMatchObject([{ seq: 4 }]);
  expect(await bench.run(first)).toMatchObject({ state: "lost", end: { how: "lost", why: "unreadable end: end: wrong" } });
  expect((await attemptOf(bench, second)).state).toBe("accepted");
  expect((await bench.store.setAside(10)).map((row) => row.raw).toSorted()).toEqual(["{bad}", "{worse}"]);
});

test("reports about an unknown attempt are acknowledged and shown once; about another worker's they change nothing", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const b = await joined(bench, "b");
  const said = await a.report(a.next("nobodys", "running"), a.next("nobodys", "end", { end: { how: "exited", code: 0 } }));
  expect(kindsOf(said)).toEqual(["attemptFound"]);
  expect(itemsOf(said, "ack")).toMatchObject([{ seq: 2 }]);
  const run = await start(bench, await makeTask(bench), { workerId: "a" });
  const attempt = (await attemptOf(bench, run)).id;
  const strange = await b.report(b.next(attempt, "end", { end: { how: "exited", code: 0 } }));
  expect(strange.notes.map((note) => note.what)).toContain("strangeReport");
  expect((await bench.run(run)).state).toBe("starting");
});

test("reports of an epoch that has not said hello are not applied and not acknowledged", async () => {
  const bench = await openBench();
  const stranger = new Hand(bench, "stranger");
  const said = await stranger.report(stranger.next("x", "running"));
  expect(said.items).toMatchObject([
    { workerId: "stranger", asOf: { epoch: stranger.epoch }, item: { kind: "ask", hello: true } },
  ]);
  expect(said.items).toHaveLength(1);
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  a.restart();
  expect(itemsOf(await a.report(a.next(attempt, "end", { end: { how: "exited", code: 0 } })), "ack")).toEqual([]);
  expect((await bench.run(run)).state).toBe("starting");
});

test("a start is resent 2 s, 4 s, … for a minute, then only asked about; any report ends that", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  const first = await bench.pass(59_000, () => a.beat());
  expect(itemsOf(first, "start").map((item) => item.attempt)).toEqual([attempt, attempt, attempt, attempt]);
  expect(first.items.find((each) => each.item.kind === "start")?.asOf.mono).toBeGreaterThan(a.mono - 60_000);
  const later = await bench.pass(120_000, () => a.beat());
  expect(itemsOf(later, "start")).toEqual([]);
  expect(itemsOf(later, "ask").filter((ask) => ask.attempts).length).toBeGreaterThan(2);
  await a.report(a.next(attempt, "accepted"));
  const quiet = await bench.pass(120_000, () => a.beat());
  expect(itemsOf(quiet, "start").length + itemsOf(quiet, "ask").filter((ask) => ask.attempts).length).toBe(0);
});

test("an end that only an inventory told is asked for, and never forgotten", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  const item = { attempt, run, start: 1, state: "ended", end: { how: "exited", code: 0 } } as const;
  a.connection = 2;
  const said = await a.join({ inventory: { part: 1, of: 1, items: [item] } });
  expect(itemsOf(said, "ask")).toEqual([{ kind: "ask", attempts: [attempt] }]);
  expect((await bench.run(run)).state).toBe("starting");
  a.restart();
  await a.join({ inventory: { part: 1, of: 1, items: [] } });
  const message = "Its result, if it wrote one, is lost: worker a came back without it.";
  expect(await bench.run(run)).toMatchObject({
    state: "succeeded",
    end: { how: "exited", code: 0 },
    result: null,
    progress: { percent: null, message },
  });
});

test("a refusal after it ran is called lost, and not placed again", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await a.report(a.next(attempt, "running"), a.next(attempt, "end", { end: { how: "refused", why: "odd" } }));
  await bench.pass(5_000);
  expect((await bench.run(run)).state).toBe("lost");
  expect(await bench.attempts(run)).toHaveLength(1);
});

test("what a worker says beside an end is the run's last word, and changes nothing of the end", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  const message = "The result was left out: it is not JSON";
  await a.report(a.next(attempt, "progress", { percent: 90, message: "nearly" }));
  await a.report(a.next(attempt, "end", { end: { how: "exited", code: 0 }, message }));
  expect(await bench.run(run)).toMatchObject({ state: "succeeded", result: null, progress: { percent: 90, message } });
});

test("rule 12: the newest report that was applied changes nothing either when it comes again", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  const half = a.next(attempt, "progress", { percent: 50 });
  expect(kindsOf(await a.report(half))).toContain("runProgress");
  const again = await a.report(half);
  expect(kindsOf(again)).toEqual([]);
  expect(again.changes).toBe(0);
});

test("rule 12: reports of another journal than their epoch's are neither applied nor acknowledged", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const input = a.reportInput(a.next((await attemptOf(bench, run)).id, "end", { end: { how: "exited", code: 0 } }));
  if (input.kind !== "reports") throw new Error("no reports");
  const said = await bench.batch({ ...input, message: { ...input.message, journal: "another-jour" } });
  expect(itemsOf(said, "ack")).toEqual([]);
  expect((await bench.run(run)).state).toBe("starting");
});

test("an end that says nothing of how it ended is lost, and no success", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await a.report(a.next(attempt, "accepted"), a.next(attempt, "running"), a.next(attempt, "end"));
  expect(await bench.run(run)).toMatchObject({ state: "lost", end: { how: "lost" } });
});
