import { expect, test } from "vitest";
import { only, TestAgent } from "./kit.ts";

const retry = { onLost: "retry" as const, lostAfterSeconds: 100, killGraceSeconds: 7 };
const nothing = { kind: "drain" as const, on: false };

test("the fence stands at the newest echo + lostAfterSeconds, and only for onLost: retry (rule 8)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.pass(5_000);
  const echo = agent.mono - 1_000;
  const [launch] = only(agent.start("a1", retry, { mono: echo }), "launch");
  expect(launch?.deadlines.fenceMono).toBe(echo + 100_000);
  expect(only(agent.start("a2"), "launch")[0]?.deadlines.fenceMono).toBeNull();
});

test("a late start with an older echo of its own still gets the fence of the newest", () => {
  const agent = new TestAgent().connectAndSync();
  const older = agent.mono;
  agent.pass(5_000);
  const newest = agent.mono;
  agent.say(nothing);
  expect(only(agent.start("a1", retry, { mono: older }), "launch")[0]?.deadlines.fenceMono).toBe(newest + 100_000);
});

test("nobody speaks: it is stopped at the fence, KILLed after its grace, and ends stopped by the fence", () => {
  const agent = new TestAgent().connectAndSync().run("a1", retry);
  agent.put({ kind: "disconnected" });
  expect(only(agent.pass(99_999), "terminate")).toEqual([]);
  expect(only(agent.pass(1), "terminate")).toHaveLength(1);
  expect(only(agent.pass(7_000), "kill")).toHaveLength(1);
  agent.ended("a1", { exit: { read: "unreadable", why: "blank" }, termBefore: true });
  expect(agent.endOf("a1")).toEqual({ how: "stopped", by: "fence" });
});

test("each newer echo moves the fence and its file; an older or repeated one does not", () => {
  const agent = new TestAgent().connectAndSync().run("a1", retry);
  const first = agent.mono;
  agent.pass(50_000);
  expect(only(agent.say(nothing, { mono: first }), "deadlines")).toEqual([]);
  expect(only(agent.say(nothing), "deadlines")).toEqual([
    { action: "deadlines", attempt: "a1", deadlines: { timeoutMono: null, fenceMono: agent.mono + 100_000, graceMs: 7_000 } },
  ]);
  expect(only(agent.pass(99_999), "terminate")).toEqual([]);
  expect(only(agent.pass(1), "terminate")).toHaveLength(1);
});

test("small movements of the echo do not rewrite the file, and the fence is then early, never late", () => {
  const agent = new TestAgent().connectAndSync().run("a1", retry);
  const began = agent.mono;
  agent.pass(4_999);
  expect(only(agent.say(nothing), "deadlines")).toEqual([]);
  agent.pass(began + 100_000 - agent.mono);
  expect(agent.entry("a1")?.state).toBe("stopping");
});

test("an echo of another epoch, of the future, or from before a gap extends no fence (rules 6, 9)", () => {
  const agent = new TestAgent().connectAndSync().run("a1", retry);
  agent.pass(15_000);
  const beforeGap = agent.mono;
  expect(only(agent.say(nothing, { mono: agent.mono + 1 }), "deadlines")).toEqual([]);
  expect(only(agent.say(nothing, { epoch: "journal00001.7.nonceOTHER00" }), "deadlines")).toEqual([]);
  agent.jump(20_000);
  expect(only(agent.say(nothing, { mono: beforeGap }), "deadlines")).toEqual([]);
  expect(only(agent.say(nothing), "deadlines")).toHaveLength(1);
});

test("a fence that has passed is not taken back", () => {
  const agent = new TestAgent().connectAndSync().run("a1", retry);
  agent.pass(100_000);
  expect(agent.entry("a1")?.state).toBe("stopping");
  expect(only(agent.say(nothing), "deadlines")).toEqual([]);
  expect(only(agent.pass(7_000), "kill")).toHaveLength(1);
});

test("of a fence and a timeout that passed while the agent was away, the first was the reason", () => {
  const fenceFirst = new TestAgent().connectAndSync().run("a1", { ...retry, timeoutSeconds: 101 });
  fenceFirst.jump(200_000);
  expect(fenceFirst.entry("a1")).toMatchObject({ state: "stopping", stopBy: "fence", timedOut: false });
  const timeoutFirst = new TestAgent().connectAndSync().run("a1", { ...retry, timeoutSeconds: 99 });
  timeoutFirst.jump(200_000);
  expect(timeoutFirst.entry("a1")).toMatchObject({ state: "stopping", stopBy: null, timedOut: true });
});

test("a stop with a long grace does not outlive the fence", () => {
  const agent = new TestAgent().connectAndSync().run("a1", retry);
  agent.say({ kind: "stop", attempt: "a1", by: "ana", graceSeconds: 3_600 });
  expect(only(agent.pass(106_999), "kill")).toEqual([]);
  expect(only(agent.pass(1), "kill")).toHaveLength(1);
});

test("an adopted attempt keeps the watchdog's fence until an echo of the new epoch moves it (rule 9)", () => {
  const agent = new TestAgent().connectAndSync().run("a1", { ...retry, timeoutSeconds: 500 });
  const timeoutMono = agent.entry("a1")?.timeoutMono;
  const next = agent.restart();
  const actions = next.recover([
    { attempt: "a1", found: "alive", process: { bootId: "boot-1", pid: 4_000, startTicks: 99 }, startedWall: 1 },
  ]);
  expect(only(actions, "deadlines")).toEqual([]);
  next.connectAndSync();
  expect(only(next.actions, "deadlines")).toEqual([
    {
      action: "deadlines",
      attempt: "a1",
      deadlines: { timeoutMono: (timeoutMono ?? 0) + 2_000, fenceMono: next.mono + 100_000, graceMs: 7_000 },
    },
  ]);
});
