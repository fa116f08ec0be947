/** How the hold of rule 28 ends, and what stands still meanwhile. */
import { expect, test } from "vitest";
import { joined } from "./hand.ts";
import { asker, attemptOf, itemsOf, kindsOf, makeTask, reasonNow, start } from "./kit.ts";
import { ended, finishedSince, openRestorable, takeBack, tell } from "./restored.ts";

const release = { kind: "releasePool", what: "restored", by: "ana", byReason: "edge-9 burnt down" } as const;

test("a worker that is gone is waited for until it is removed, or until somebody lets the runs go", async () => {
  const made = await finishedSince();
  const { bench, b, run } = made;
  await takeBack(made);
  await tell(b, []);
  await bench.ask({ kind: "drainWorker", workerId: "b", on: false, ...asker });
  expect(itemsOf(await bench.pass(100_000, () => b.beat()), "start")).toEqual([]);
  expect(reasonNow(bench, run)).toContain("a (lost)");
  const said = await bench.ask({ kind: "deleteWorker", workerId: "a", stop: true, ...asker });
  expect([...itemsOf(said, "start"), ...itemsOf(await bench.pass(1_000), "start")].map((item) => item.run)).toEqual([run]);
});

test("the operator's word is stored with who and why, outlives the leader, and ledgers are read all the same", async () => {
  const made = await finishedSince();
  const { bench, a, b } = made;
  const second = await start(bench, made.task);
  await made.putBack();
  const late = await start(bench, made.task);
  await made.mark();
  a.seq = a.acked = 3;
  await tell(b, []);
  await bench.ask({ kind: "drainWorker", workerId: "b", on: false, ...asker });
  const said = await bench.ask(release);
  expect(said.outcome).toEqual({ kind: "released", changed: true });
  expect(said.events.find((event) => event.kind === "poolReleased")).toMatchObject({
    by: "ana",
    data: { what: "restored", reason: "edge-9 burnt down" },
  });
  expect((await bench.ask(release)).outcome).toEqual({ kind: "released", changed: false });
  await bench.takeOver();
  await tell(b, []);
  await bench.pass(1_000);
  expect((await bench.run(made.run)).state).toBe("starting");
  // Its ledger still tells what is unknown; nothing is held for it again.
  const heard = await tell(a, [ended("gone", "no-such-run", 3)]);
  expect(kindsOf(heard)).toContain("attemptFound");
  expect(kindsOf(heard)).not.toContain("poolHeld");
  await bench.pass(80_000, () => b.beat());
  expect(await bench.store.holds()).toEqual([]);
  expect([second, late]).toHaveLength(2);
});

test("a ledger that has forgotten ends since the backup leaves the decision to a person, also under the next leader", async () => {
  const made = await finishedSince();
  const { bench, a, b, run } = made;
  a.seq = a.acked = 5_000;
  await takeBack(made);
  await tell(b, []);
  await tell(a, [], { ledger: { above: 0, upTo: 5_000, forgotten: 40 } });
  await bench.pass(80_000, async () => (await a.beat(), await b.beat()));
  expect(reasonNow(bench, run)).toContain("no longer knows all that it ended");
  await bench.takeOver();
  await tell(a, []);
  await tell(b, []);
  await bench.pass(80_000, async () => (await a.beat(), await b.beat()));
  expect(bench.state.hold?.row).toMatchObject({ short: true, letGo: false });
  await bench.ask({ kind: "drainWorker", workerId: "a", on: false, ...asker });
  const said = await bench.ask(release);
  expect(itemsOf(said, "start").map((item) => item.run)).toEqual([run]);
});

test("while it is held nobody's attempt is called lost because of time, and a retry waits too", async () => {
  const restorable = await openRestorable();
  const { bench } = restorable;
  const a = await joined(bench, "a");
  const b = await joined(bench, "b");
  await bench.ask({ kind: "drainWorker", workerId: "b", on: true, ...asker });
  const failing = await start(bench, await makeTask(bench, { onLost: "fail" }));
  const { id: attempt } = await attemptOf(bench, failing);
  const putBack = restorable.backUp();
  a.seq = a.acked = 4;
  await putBack();
  await restorable.mark();
  await tell(b, []);
  await bench.pass(100_000, () => b.beat());
  expect((await bench.store.worker("a"))?.state).toBe("lost");
  expect((await bench.run(failing)).state).toBe("unreachable");
  a.connection += 1;
  await tell(a, [ended(attempt, failing, 4)]);
  expect((await bench.run(failing)).state).toBe("succeeded");
});

test("letting go starts the clocks of loss that stood still", async () => {
  const restorable = await openRestorable();
  const { bench } = restorable;
  await joined(bench, "a");
  const failing = await start(bench, await makeTask(bench, { onLost: "fail" }));
  const putBack = restorable.backUp();
  await putBack();
  await restorable.mark();
  await bench.pass(100_000);
  expect((await bench.run(failing)).state).toBe("unreachable");
  await bench.ask(release);
  await bench.pass(100);
  expect((await bench.run(failing)).state).toBe("lost");
});

test("a worker that returns after the word is given nothing before it has told: what it finished is not placed on it again", async () => {
  const made = await finishedSince();
  const { bench, a, b, run } = made;
  a.seq = a.acked = 3;
  await takeBack(made);
  await tell(b, []);
  await bench.ask(release);
  await bench.ask({ kind: "drainWorker", workerId: "a", on: false, ...asker });
  expect(itemsOf(await a.join(), "start")).toEqual([]);
  expect(itemsOf(await bench.pass(1_000), "start")).toEqual([]);
  const said = await tell(a, [ended("gone1", run, 3)]);
  expect(itemsOf(said, "start")).toEqual([]);
  expect((await bench.run(run)).state).toBe("succeeded");
});
