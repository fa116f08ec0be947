/** Rule 11: when many workers vanish at once it is rather the wire than the workers. */
import { expect, test } from "vitest";
import { alarms, poolLive } from "../../../manager/control/view.ts";
import { joined, type Hand } from "./hand.ts";
import { asker, kindsOf, makeTask, openBench, start, type Bench } from "./kit.ts";

const release = { kind: "releasePool", what: "brake", ...asker } as const;

async function allSilent(count: number): Promise<{ bench: Bench; runs: string[] }> {
  const bench = await openBench();
  for (let at = 0; at < count; at += 1) await joined(bench, `w${at}`, { capacity: { slots: 2, memoryMb: 1_000, cpus: 4 } });
  const task = await makeTask(bench, { onLost: "fail" });
  const runs: string[] = [];
  for (let at = 0; at < count; at += 1) runs.push(await start(bench, task));
  return { bench, runs };
}

const lost = async (bench: Bench, runs: readonly string[]): Promise<number> =>
  (await Promise.all(runs.map((run) => bench.run(run)))).filter((run) => run.state === "lost").length;

test("all workers silent at once: one alarm event, nobody is lost and nothing is placed for 15 minutes, then at the stated rate", async () => {
  const { bench, runs } = await allSilent(25);
  const said = await bench.pass(899_000 + 25_000);
  expect(said.events.filter((event) => event.kind === "alarm").map((event) => event.data["kind"])).toEqual(["fleetBrake"]);
  expect(alarms(bench.state, bench.now)).toMatchObject([{ kind: "fleetBrake", sentence: expect.stringContaining("25 workers") }]);
  expect(kindsOf(said)).not.toContain("attemptSent");
  expect(await lost(bench, runs)).toBe(0);
  await bench.pass(2_000);
  const after = await lost(bench, runs);
  expect(after).toBeGreaterThan(0);
  expect(after).toBeLessThanOrEqual(20);
  await bench.pass(3_000);
  expect(await lost(bench, runs)).toBe(25);
});

test("a person's word lets it go at once, at the same rate, and is stored", async () => {
  const { bench, runs } = await allSilent(25);
  expect((await bench.ask(release)).outcome).toEqual({ kind: "released", changed: false });
  await bench.pass(100_000);
  expect(poolLive(bench.state).brake).toMatchObject({ silent: 25 });
  expect(await lost(bench, runs)).toBe(0);
  const said = await bench.ask({ ...release, byReason: "the hall burnt down" });
  expect(said.outcome).toEqual({ kind: "released", changed: true });
  expect(said.events.find((event) => event.kind === "poolReleased")).toMatchObject({
    by: "ana",
    data: { what: "brake", reason: "the hall burnt down" },
  });
  await bench.pass(1_000);
  const first = await lost(bench, runs);
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThanOrEqual(11);
  expect(alarms(bench.state, bench.now)[0]?.sentence).toContain("lets go");
  await bench.pass(3_000);
  expect(await lost(bench, runs)).toBe(25);
  expect(poolLive(bench.state).brake).toBeNull();
  expect(alarms(bench.state, bench.now)).toEqual([]);
});

test("the word comes too late for one who is not lost yet: a worker that returns while it lets go is not lost", async () => {
  const { bench } = await allSilent(25);
  await bench.pass(100_000);
  await bench.ask(release);
  const back = await joined(bench, "w24");
  await bench.pass(10_000, () => back.beat());
  expect((await bench.store.worker("w24"))?.state).toBe("online");
  expect((await bench.store.worker("w0"))?.state).toBe("lost");
  expect(kindsOf(await bench.pass(1_000))).not.toContain("alarm");
});

test("whoever vanishes together after the brake began to let go is held anew: nobody said that these are gone", async () => {
  for (const word of [true, false]) {
    const bench = await openBench();
    const hands: Hand[] = [];
    for (let at = 0; at < 12; at += 1) hands.push(await joined(bench, `w${at}`));
    const beating = async (beats: number, from: number): Promise<void> => {
      for (let beat = 0; beat < beats; beat += 1) {
        await bench.pass(10_000);
        for (const hand of hands.slice(from)) await hand.beat();
      }
    };
    await beating(4, 4);
    expect(poolLive(bench.state).brake).toMatchObject({ silent: 4 });
    if (word) await bench.ask(release);
    else await beating(85, 4);
    // One more is silent by then, and not lost yet: the brake is not over.
    await beating(word ? 3 : 4, 5);
    expect(poolLive(bench.state).brake?.sentence).toContain("lets go");
    await bench.pass(880_000);
    const states = await Promise.all(hands.map(async ({ id }) => (await bench.store.worker(id))?.state));
    expect(states.slice(5)).toEqual(Array.from({ length: 7 }, () => "unreachable"));
    await bench.pass(60_000);
    expect((await bench.store.worker("w11"))?.state).toBe("lost");
  }
});

test("more than 30 % are a fleet: four of ten that fall silent together, and not four of twenty", async () => {
  for (const [count, isFleet] of [
    [10, true],
    [20, false],
  ] as const) {
    const bench = await openBench();
    const hands = [];
    for (let at = 0; at < count; at += 1) hands.push(await joined(bench, `w${at}`));
    for (let beats = 0; beats < 4; beats += 1) {
      await bench.pass(10_000);
      for (const hand of hands.slice(4)) await hand.beat();
    }
    expect(alarms(bench.state, bench.now).map(({ kind }) => kind)).toEqual(isFleet ? ["fleetBrake"] : []);
  }
});

test("rule 10: a gap of more than two intervals in our own steps is our absence, one of less is not", async () => {
  for (const [gapMs, state] of [
    [21_000, "online"],
    [19_000, "unreachable"],
  ] as const) {
    const bench = await openBench();
    await joined(bench, "a");
    await bench.pass(9_000);
    bench.now.mono += gapMs;
    await bench.batch({ kind: "tick" });
    expect((await bench.store.worker("a"))?.state).toBe(state);
  }
});

test("workers that die one by one, hours apart, and those that are back, are no fleet that fell silent", async () => {
  const bench = await openBench();
  const hands: Hand[] = [];
  for (let at = 0; at < 6; at += 1) hands.push(await joined(bench, `w${at}`));
  const beating = async (alive: readonly Hand[]) => await bench.batch(...alive.map((hand) => hand.beatInput()));
  // Each is away for a moment, one after the other, and heard again.
  for (const hand of hands.slice(0, 5)) {
    await bench.pass(1_000);
    await bench.batch(hand.statusInput("gone"));
    hand.connection += 1;
    await hand.join();
  }
  expect(poolLive(bench.state).brake).toBeNull();
  for (let dead = 1; dead <= 5; dead += 1) {
    const said = await bench.pass(200_000, () => beating(hands.slice(dead)));
    expect(kindsOf(said).filter((kind) => kind === "workerLost")).toHaveLength(1);
    expect(poolLive(bench.state).brake).toBeNull();
  }
});
