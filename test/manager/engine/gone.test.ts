/** Requests that nobody waits for any more: before they are stepped they are dropped, after that they go on. */
import { expect, test } from "vitest";
import type { EngineWatch } from "../../../manager/engine/watch.ts";
import { until } from "../../kit/until.ts";
import { processTimers, type Timers } from "../../../schema/kit/clock.ts";
import { answerWithinMs, createTask, makeRig, problemOf, type Rig } from "./rig.ts";

/** Holds the next commit, so that what is asked meanwhile waits in the queue. */
function holdCommits(rig: Rig): { readonly reached: Promise<void>; readonly letGo: () => void } {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  rig.fault = async (_batch, commit) => {
    reached.resolve();
    await gate.promise;
    return await commit();
  };
  return { reached: reached.promise, letGo: gate.resolve };
}

function counting(): { readonly watch: EngineWatch; readonly left: number[] } {
  const left: number[] = [];
  return { left, watch: { held: () => undefined, requestsLeft: (_pool, count) => left.push(count) } };
}

/** Timers of which those for answers end when the test says so. */
function timeByHand(): { readonly timers: Timers; readonly timeIsUp: () => void } {
  const late = new Set<() => void>();
  const after = (ms: number, act: () => void): (() => void) => {
    if (ms !== answerWithinMs) return processTimers.after(ms, act);
    late.add(act);
    return () => late.delete(act);
  };
  return { timers: { ...processTimers, after }, timeIsUp: () => late.forEach((act) => act()) };
}

test("a request whose client has gone is not stepped, those before and behind it are", async () => {
  const { watch, left } = counting();
  const rig = await makeRig({ watch });
  const held = holdCommits(rig);
  const [first, gone] = [new AbortController(), new AbortController()];
  const asked = [rig.engine.ask(createTask("first"), first.signal)];
  await held.reached;
  asked.push(rig.engine.ask(createTask("before")), rig.engine.ask(createTask("behind"), new AbortController().signal));
  const dropped = problemOf(rig.engine.ask(createTask("gone"), gone.signal));
  gone.abort();
  // The core has this one already: it goes on, whoever waits.
  first.abort();
  held.letGo();
  expect(await Promise.all(asked)).toMatchObject([{ created: true }, { created: true }, { created: true }]);
  expect(await dropped).toBe("not-taken");
  expect(await rig.store.task("id-gone")).toBeNull();
  expect(await rig.store.task("id-first")).not.toBeNull();
  expect(left).toEqual([1]);
});

test("what nobody waits for takes nobody's place in a batch", async () => {
  const { watch, left } = counting();
  const rig = await makeRig({ watch });
  const held = holdCommits(rig);
  const first = rig.engine.ask(createTask("first"));
  await held.reached;
  const gone = new AbortController();
  const dropped = Array.from({ length: 1_500 }, (_, n) => problemOf(rig.engine.ask(createTask(`gone-${n}`), gone.signal)));
  const living = rig.engine.ask(createTask("living"));
  gone.abort();
  const sizes: number[] = [];
  const commit = rig.fault;
  rig.fault = async (batch, done) => {
    sizes.push(batch.changes.filter((change) => change.op === "insertTask").length);
    return (await commit?.(batch, done)) ?? (await done());
  };
  held.letGo();
  await first;
  expect(await living).toMatchObject({ created: true });
  expect(new Set(await Promise.all(dropped))).toEqual(new Set(["not-taken"]));
  expect(sizes).toEqual([1]);
  expect(left).toEqual([1_500]);
});

test("who waited as long as anybody may learns whether it was stepped", async () => {
  const { watch, left } = counting();
  const { timers, timeIsUp } = timeByHand();
  const rig = await makeRig({ watch, timers });
  const held = holdCommits(rig);
  const stepped = problemOf(rig.engine.ask(createTask("stepped")));
  await held.reached;
  const waiting = problemOf(rig.engine.ask(createTask("waiting")));
  timeIsUp();
  expect(await stepped).toBe("outcome-unknown");
  expect(await waiting).toBe("not-taken");
  held.letGo();
  await until("the dead one to be dropped", () => left.length > 0);
  expect(await rig.store.task("id-stepped")).not.toBeNull();
  expect(await rig.store.task("id-waiting")).toBeNull();
});
