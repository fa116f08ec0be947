/** Rule 28: after a database one hour old comes back, nothing that finished runs again. */
import { expect, test } from "vitest";
import { Hand, joined } from "./hand.ts";
import { asker, attemptOf, itemsOf, kindsOf, makeTask, reasonNow, start } from "./kit.ts";
import { alarmKinds, ended, finishedSince, openRestorable, takeBack, tell } from "./restored.ts";

test("a marked pool places nothing until every worker has told, and a queued run gets its true end from a ledger", async () => {
  const made = await finishedSince();
  const { bench, a, b, run } = made;
  a.seq = a.acked = 3;
  await takeBack(made);
  const next = await start(bench, made.task);
  await tell(b, []);
  expect(itemsOf(await bench.pass(80_000, () => b.beat()), "start")).toEqual([]);
  for (const id of [run, next]) expect(reasonNow(bench, id)).toMatch(/^held, because the database was taken back: .* a \(/);
  expect(alarmKinds(bench)).toContain("poolHeld");
  const said = await tell(a, [ended("gone1", run, 3)]);
  expect(itemsOf(said, "start")).toEqual([]);
  expect(await bench.run(run)).toMatchObject({
    state: "succeeded",
    end: { how: "exited", code: 0 },
    workerId: "a",
    startedAt: 1_000,
    endedAt: 2_000,
    tries: 1,
    result: null,
    progress: {
      percent: null,
      message:
        "Its result, if it wrote one, is lost: it went with the database that was taken back, its worker a has its end only.",
    },
  });
  expect((await bench.attempts(run)).map((attempt) => [attempt.id, attempt.workerId, attempt.state])).toEqual([
    ["gone1", "a", "ended"],
  ]);
  await bench.ask({ kind: "drainWorker", workerId: "a", on: false, ...asker });
  const after = await bench.pass(1_000);
  expect(kindsOf(after)).toContain("poolReleased");
  expect(itemsOf(after, "start").map((item) => item.run)).toEqual([next]);
  expect(alarmKinds(bench)).not.toContain("poolHeld");
  expect(await bench.store.holds()).toEqual([]);
});

test("without a mark the first sign holds the very batch in which it comes, and the next leader too", async () => {
  const made = await finishedSince();
  const { bench, a, b, run } = made;
  a.seq = a.acked = 3;
  await takeBack(made, { marked: false });
  await bench.ask({ kind: "drainWorker", workerId: "b", on: false, ...asker });
  a.highestTerm = b.highestTerm = bench.term;
  // Both in one batch: b could take the run, and a tells that there is more than the database knows.
  const said = await bench.batch(b.helloInput(), a.helloInput());
  expect(itemsOf(said, "start")).toEqual([]);
  expect(kindsOf(said)).toEqual(expect.arrayContaining(["poolHeld", "alarm"]));
  expect((await bench.store.holds())[0]).toMatchObject({ by: null, why: expect.stringContaining("worker a was acknowledged") });
  await bench.takeOver();
  await tell(b, []);
  expect(itemsOf(await bench.pass(80_000, () => b.beat()), "start")).toEqual([]);
  await tell(a, [ended("gone1", run, 3)]);
  await bench.pass(80_000, () => b.beat());
  expect((await bench.run(run)).state).toBe("succeeded");
  expect(await bench.store.holds()).toEqual([]);
});

test("a higher term is a sign as well; a leader that took over nothing that could run again holds nothing", async () => {
  const made = await finishedSince();
  await takeBack(made, { marked: false });
  await made.a.join({ highestTerm: made.bench.term + 5 });
  expect(await made.bench.store.holds()).toHaveLength(1);
  const fresh = await openRestorable();
  const a = new Hand(fresh.bench, "a");
  a.seq = a.acked = 7;
  await tell(a, []);
  expect(alarmKinds(fresh.bench)).toContain("historyLost");
  expect(await fresh.bench.store.holds()).toEqual([]);
  expect(fresh.bench.state.workers.get("a")?.synced).toBe(true);
});

test("an attempt that lives is adopted, and its own report ends it, with the result", async () => {
  const made = await finishedSince();
  const { bench, a, b, run } = made;
  a.seq = a.acked = 2;
  a.live.set("live1", { attempt: "live1", run, start: 1, state: "running" });
  await takeBack(made);
  await tell(b, []);
  const said = await tell(a, []);
  expect(itemsOf(said, "sync", "a").at(-1)).toMatchObject({ keep: ["live1"], stop: [] });
  expect(await bench.run(run)).toMatchObject({ state: "running", workerId: "a" });
  expect(said.events.find((event) => event.kind === "attemptFound")?.data).toMatchObject({ adopted: true });
  await a.report(a.next("live1", "end", { end: { how: "exited", code: 0 }, result: { n: 1 } }));
  expect(await bench.run(run)).toMatchObject({ state: "succeeded", result: '{"n":1}' });
});

test("an end that nobody has acknowledged waits for its report", async () => {
  const made = await finishedSince();
  const { bench, a, run } = made;
  a.seq = 3;
  a.acked = 2;
  await takeBack(made);
  a.live.set("x", { attempt: "x", run, start: 1, state: "ended", end: { how: "exited", code: 4 } });
  await tell(a, []);
  expect((await bench.run(run)).state).toBe("starting");
  a.live.delete("x");
  a.seq = 2;
  await a.report(a.next("x", "end", { end: { how: "exited", code: 4 } }));
  expect(await bench.run(run)).toMatchObject({ state: "failed", end: { how: "exited", code: 4 } });
});

test("a run that lived in the backup gets the end that its worker was acknowledged, not a second start", async () => {
  const restorable = await openRestorable();
  const { bench } = restorable;
  const a = await joined(bench, "a");
  const sent = await start(bench, await makeTask(bench));
  const running = await start(bench, await makeTask(bench, { retry: { attempts: 5, backoffSeconds: 0, on: ["failed"] } }));
  const [one, two] = [(await attemptOf(bench, sent)).id, (await attemptOf(bench, running)).id];
  await a.report(a.next(two, "accepted"), a.next(two, "running"));
  const putBack = restorable.backUp();
  a.live.clear();
  a.seq = a.acked = 9;
  await putBack();
  await restorable.mark();
  await tell(a, [ended(one, sent, 5), ended(two, running, 8, { how: "exited", code: 0 })]);
  for (const id of [sent, running]) expect(await bench.run(id)).toMatchObject({ state: "succeeded", placements: 1 });
  // Its result was in the database alone.
  expect((await bench.run(sent)).result).toBeNull();
});

test("what a whole ledger does not have was never started; what the database alone knew as accepted is lost", async () => {
  const restorable = await openRestorable();
  const { bench } = restorable;
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const first = (await attemptOf(bench, run)).id;
  const accepted = await start(bench, await makeTask(bench));
  await a.report(a.next((await attemptOf(bench, accepted)).id, "accepted"));
  const putBack = restorable.backUp();
  a.live.clear();
  a.seq = a.acked = 9;
  await putBack();
  await restorable.mark();
  // The first hello has obeyed an earlier leader only: it proves nothing. The one with the ledger was asked for by this one.
  await a.join();
  expect((await attemptOf(bench, run)).state).toBe("sent");
  await bench.pass(500);
  await tell(a, []);
  expect((await bench.attempts(run)).map((attempt) => [attempt.id, attempt.end])).toEqual([
    [first, { how: "refused", why: "its start never came" }],
  ]);
  expect((await bench.run(accepted)).state).toBe("lost");
  expect((await bench.run(run)).state).toBe("queued");
});

test("retries of the lost hour are followed in whatever order the ledgers come", async () => {
  for (const order of [
    ["a", "b"],
    ["b", "a"],
  ]) {
    const made = await finishedSince({ task: { retry: { attempts: 3, backoffSeconds: 0, on: ["failed"] } } });
    const { bench, a, b, run } = made;
    for (const hand of [a, b]) hand.seq = hand.acked = 3;
    await takeBack(made);
    const ledgers = { a: [ended("t1", run, 3, { how: "exited", code: 1 })], b: [ended("t2", run, 3)] };
    const starts = [];
    for (const id of order) starts.push(...itemsOf(await tell(made.hands.get(id) as Hand, ledgers[id as "a"]), "start"));
    expect(starts).toEqual([]);
    expect(await bench.run(run)).toMatchObject({ state: "succeeded", workerId: "b" });
  }
});

test("the attempt that the backup has was followed by another: the newer one decides, the older one's end is evidence", async () => {
  const restorable = await openRestorable();
  const { bench } = restorable;
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench, { retry: { attempts: 3, backoffSeconds: 0, on: ["failed"] } }));
  const first = (await attemptOf(bench, run)).id;
  await a.report(a.next(first, "accepted"), a.next(first, "running"));
  const b = await joined(bench, "b");
  const putBack = restorable.backUp();
  a.live.clear();
  a.seq = a.acked = 9;
  b.seq = b.acked = 3;
  await putBack();
  await restorable.mark();
  await tell(b, [ended("second", run, 3)]);
  expect(await bench.run(run)).toMatchObject({ state: "succeeded", workerId: "b", placements: 2 });
  const said = await tell(a, [ended(first, run, 8, { how: "exited", code: 1 })]);
  expect(kindsOf(said)).toContain("lateEnd");
  expect((await bench.attempts(run)).map((attempt) => attempt.state)).toEqual(["ended", "ended"]);
  expect((await bench.run(run)).state).toBe("succeeded");
});

test("a refusal of the lost time changes nothing: the run still waits, and was no try", async () => {
  const made = await finishedSince();
  const { bench, a, run } = made;
  a.seq = a.acked = 3;
  await takeBack(made);
  await tell(a, [ended("r1", run, 3, { how: "refused", why: "no room" })]);
  expect(await bench.run(run)).toMatchObject({ state: "queued", tries: 0, placements: 0 });
});

test("a worker that claims a run which this leader made itself is not believed", async () => {
  const made = await finishedSince();
  const { bench, a } = made;
  a.seq = a.acked = 3;
  await takeBack(made);
  const own = await start(bench, made.task);
  await tell(a, [ended("claimed", own, 3)]);
  expect((await bench.run(own)).state).toBe("queued");
});

test("a run that the database does not know is shown as found, and nothing runs", async () => {
  const made = await finishedSince();
  made.a.seq = made.a.acked = 3;
  made.a.live.set("stray", { attempt: "stray", run: "unheard", start: 1, state: "running" });
  await takeBack(made);
  const said = await tell(made.a, [ended("stranger", "unheard-of", 3)]);
  const found = said.events.filter((event) => event.kind === "attemptFound");
  expect(found.map((event) => [event.attemptId, event.runId])).toEqual([
    ["stray", "unheard"],
    ["stranger", "unheard-of"],
  ]);
  expect(itemsOf(said, "sync", "a").at(-1)).toMatchObject({ keep: [], stop: [] });
});

test("a long ledger comes in pages, and a leader that dies between two goes on where it was", async () => {
  const made = await finishedSince();
  const { bench, a, b, run } = made;
  a.seq = a.acked = 9;
  const ledger = [2, 4, 6, 8].map((seq) => ended(`e${seq}`, seq === 8 ? run : `unknown${seq}`, seq));
  await takeBack(made);
  await tell(b, []);
  const journal = a.epoch.slice(0, 12);
  const first = await a.join();
  expect(itemsOf(first, "ask", "a")).toContainEqual({ kind: "ask", ledger: { journal, above: 0 } });
  bench.now.mono += 500;
  const page = await a.join({
    ledger: { above: 0, upTo: 4, forgotten: 0 },
    inventory: { part: 1, of: 1, items: ledger.slice(0, 2) },
  });
  expect(itemsOf(page, "ask", "a")).toContainEqual({ kind: "ask", ledger: { journal, above: 4 } });
  expect(itemsOf(page, "sync", "a")).toEqual([]);
  expect((await bench.store.loadLive("default")).journals.find((row) => row.workerId === "a")?.applied).toBe(4);
  await bench.takeOver();
  const said = await tell(a, ledger, {}, 1);
  expect(itemsOf(said, "ask", "a").map((item) => item.ledger?.above)).toEqual([4, 6]);
  expect(said.events.filter((event) => event.kind === "gap").map((event) => event.data)).toEqual([
    { journal, from: 5, to: 6 },
    { journal, from: 7, to: 9 },
  ]);
  expect((await bench.run(run)).state).toBe("succeeded");
});

test("workers that joined since the backup have a loss period to come, and what they ran is not started again", async () => {
  const made = await finishedSince({ onlyWorkers: ["a"] });
  const { bench, a, run } = made;
  await takeBack(made);
  await tell(a, []);
  await bench.ask({ kind: "drainWorker", workerId: "a", on: false, ...asker });
  expect(itemsOf(await bench.pass(70_000, () => a.beat()), "start")).toEqual([]);
  expect(reasonNow(bench, run)).toMatch(/workers that joined since may come/);
  const late = new Hand(bench, "late");
  late.seq = late.acked = 4;
  await tell(late, [ended("e", run, 4)]);
  expect(itemsOf(await bench.pass(20_000, () => a.beat()), "start")).toEqual([]);
  expect(await bench.run(run)).toMatchObject({ state: "succeeded", workerId: "late" });
});

test("a start that reaches a worker after it has told is adopted from its next inventory", async () => {
  const made = await finishedSince({ onlyWorkers: ["a"] });
  const { bench, a, run } = made;
  await takeBack(made);
  await tell(a, []);
  const said = await a.report(a.next("straggler", "accepted"));
  expect(itemsOf(said, "ask", "a")).toEqual([{ kind: "ask", hello: true }]);
  a.live.set("straggler", { attempt: "straggler", run, start: 1, state: "accepted" });
  await bench.pass(500);
  await a.join();
  expect(await bench.run(run)).toMatchObject({ state: "starting", workerId: "a" });
});
