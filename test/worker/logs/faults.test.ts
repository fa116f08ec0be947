/** The shipper and the manager's intake as a pair, on a wire that loses: whatever happened, all of it arrives. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { timing } from "../../../schema/limits.ts";
import { LossyWorld } from "./lossy-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Faults come for so long. */
const troubleMs = 60_000;
/** The longest pause of one stream, and what it takes to say everything once. */
const arrivesWithinMs = timing.resendMaxMs + 5_000;

const forMs = fc.integer({ min: 1, max: 20_000 });
const per100 = fc.integer({ min: 0, max: 100 });
const manager = fc.integer({ min: 0, max: 1 });
const happening = fc.oneof(
  fc.record({
    kind: fc.constant("output" as const),
    attempts: fc.integer({ min: 1, max: 40 }),
    of: fc.integer({ min: 0, max: 60 }),
    bytes: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
    ),
    ends: fc.boolean(),
    settles: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("cut" as const), forMs }),
  fc.record({ kind: fc.constant("lead" as const), manager }),
  fc.record({ kind: fc.constant("restart" as const), manager, forMs }),
  fc.record({ kind: fc.constant("wire" as const), lossUp: per100, lossDown: per100, wayMs: fc.integer({ min: 1, max: 10_000 }) }),
  fc.record({ kind: fc.constant("store" as const), ms: fc.integer({ min: 1, max: 3_000 }), fails: fc.boolean() }),
  fc.record({ kind: fc.constant("agent" as const) }),
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

function happen(world: LossyWorld, one: Happening): void {
  switch (one.kind) {
    case "output":
      for (let at = 0; at < one.attempts; at += 1) {
        world.output(`a${one.of + at}`, one.bytes, one.ends);
        if (one.settles) world.settle(`a${one.of + at}`);
      }
      return;
    case "cut":
      world.cut(one.forMs);
      return;
    case "lead":
      world.lead(one.manager);
      return;
    case "restart":
      world.restart(one.manager, one.forMs);
      return;
    case "wire":
      Object.assign(world, { lossUp: one.lossUp, lossDown: one.lossDown, wayMs: one.wayMs });
      return;
    case "store":
      Object.assign(world, { storeMs: one.ms, storeFails: one.fails });
      return;
    case "agent":
      world.restartAgent();
      return;
  }
}

/** Repeatable draws. */
function drawsOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

test(
  "whatever happened before, every byte arrives once the faults are over, and every folder goes",
  { timeout: 60_000 },
  async () => {
    const schedule = fc.array(fc.tuple(fc.integer({ min: 0, max: troubleMs }), happening), { minLength: 5, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.integer(), schedule, async (seed, all) => {
        await using world = new LossyWorld(drawsOf(seed));
        let now = 0;
        for (const [at, one] of all.toSorted((a, b) => a[0] - b[0])) {
          await vi.advanceTimersByTimeAsync(at - now);
          now = at;
          happen(world, one);
        }
        // Until the longest cut and the longest pause of a manager are over.
        await vi.advanceTimersByTimeAsync(20_000);
        world.heal();
        await vi.advanceTimersByTimeAsync(arrivesWithinMs);
        expect(await world.missing()).toEqual([]);
      }),
      { numRuns: 5 },
    );
  },
);

test.for([20, 200])(
  "output of %i attempts that a broker dropped comes when somebody listens again, not in waves of half a minute",
  async (count) => {
    await using world = new LossyWorld(drawsOf(7));
    world.lossUp = 100;
    for (let at = 0; at < count; at += 1) {
      world.output(`a${at}`, 100, true);
      world.settle(`a${at}`);
      await vi.advanceTimersByTimeAsync(100_000 / count);
    }
    world.heal();
    while (world.removed.size === 0) await vi.advanceTimersByTimeAsync(100);
    let restMs = 0;
    for (; world.removed.size < count && restMs < 60_000; restMs += 100) await vi.advanceTimersByTimeAsync(100);
    expect(restMs).toBeLessThanOrEqual(5_000);
  },
);

test("a stream that the manager does not want stays rare, however often it shows that somebody listens", async () => {
  await using world = new LossyWorld(drawsOf(3));
  world.unwanted.add("strange");
  world.output("strange", 100, true);
  // Every other message is lost, so acks after a resend come all the time.
  world.lossUp = 50;
  for (let at = 0; at < 300; at += 1) {
    world.output(`a${at}`, 100, true);
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(world.sent.get("strange") ?? 0).toBeGreaterThan(10);
  expect(world.sent.get("strange") ?? 0).toBeLessThanOrEqual(50);
});
