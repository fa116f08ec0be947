import { expect, test } from "vitest";
import { timing } from "../../../schema/limits.ts";
import { launched, notes, only, reported, TestAgent } from "./kit.ts";

const stop = (attempt: string, graceSeconds = 10, by = "ana") => ({ kind: "stop" as const, attempt, by, graceSeconds });

test("TERM at once, KILL after the grace and again until the tree is gone, then the end (rule 25)", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  const actions = agent.say(stop("a1", 5));
  expect(only(actions, "terminate")).toHaveLength(1);
  expect(reported(actions)).toMatchObject([{ kind: "stopping", pid: 4_000 }]);
  expect(agent.entry("a1")).toMatchObject({ state: "stopping", stopBy: "ana" });
  expect(only(agent.pass(4_999), "kill")).toEqual([]);
  expect(only(agent.pass(1), "kill")).toHaveLength(1);
  expect(only(agent.pass(2 * timing.killRepeatMs), "kill")).toHaveLength(2);
  expect(agent.endOf("a1")).toBeNull();
  agent.ended("a1", { exit: { read: "unreadable", why: "blank" }, termBefore: true });
  expect(agent.endOf("a1")).toEqual({ how: "stopped", by: "ana" });
  expect(only(agent.pass(60_000), "kill")).toEqual([]);
});

test("a stop of an unknown attempt is its end, so a start that comes later is refused (rule 4)", () => {
  const agent = new TestAgent().connectAndSync();
  expect(reported(agent.say(stop("late")))).toMatchObject([{ kind: "end", end: { how: "stopped", by: "ana" } }]);
  expect(agent.entry("late")).toMatchObject({ state: "ended", epoch: null });
  agent.ack();
  const actions = agent.start("late");
  expect(launched(actions)).toEqual([]);
  expect(reported(actions)).toMatchObject([{ kind: "end", end: { how: "stopped", by: "ana" } }]);
});

test("a stop of what is accepted and not launched ends it without a process", () => {
  const agent = new TestAgent().connectAndSync().run("r1").run("r2");
  agent.start("held");
  const actions = agent.say(stop("held"));
  expect(only(actions, "terminate")).toEqual([]);
  expect(agent.endOf("held")).toEqual({ how: "stopped", by: "ana" });
  expect(launched(agent.ended("r1"))).toEqual([]);
});

test("a stop that overtakes the shim's start is carried out as soon as there is a process", () => {
  const agent = new TestAgent().connectAndSync();
  agent.start("a1");
  agent.say(stop("a1"));
  expect(only(agent.started("a1"), "terminate")).toHaveLength(1);
  expect(agent.entry("a1")).toMatchObject({ state: "stopping", process: { pid: 4_000 } });
});

test("a second stop may shorten the grace, never lengthen it, and the first one's name stays", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.say(stop("a1", 100));
  agent.say(stop("a1", 1_000, "bob"));
  agent.say(stop("a1", 2, "bob"));
  expect(agent.entry("a1")?.stopBy).toBe("ana");
  expect(only(agent.pass(2_000), "kill")).toHaveLength(1);
});

test("a stop of what has ended changes nothing and is answered with the end", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.ended("a1", { exit: { read: "code", code: 3 } });
  const actions = agent.say(stop("a1"));
  expect(agent.endOf("a1")).toEqual({ how: "exited", code: 3 });
  expect(reported(actions)).toMatchObject([{ kind: "end", end: { how: "exited", code: 3 } }]);
});

test("a grace of nothing is TERM and KILL with the next tick", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.say(stop("a1", 0));
  expect(only(agent.tick(), "kill")).toHaveLength(1);
});

test("the timeout counts from the launch; the watchdog's lies behind the agent's own", () => {
  const agent = new TestAgent().connectAndSync();
  const [launch] = only(agent.start("a1", { timeoutSeconds: 60, killGraceSeconds: 3 }), "launch");
  expect(launch?.deadlines).toEqual({
    timeoutMono: agent.mono + 60_000 + timing.watchdogTickMs,
    fenceMono: null,
    graceMs: 3_000,
  });
  agent.started("a1");
  expect(only(agent.pass(59_999), "terminate")).toEqual([]);
  expect(only(agent.pass(1), "terminate")).toHaveLength(1);
  expect(agent.entry("a1")).toMatchObject({ state: "stopping", timedOut: true, stopBy: null });
  expect(only(agent.pass(3_000), "kill")).toHaveLength(1);
  agent.ended("a1", { exit: { read: "code", code: 143 }, termBefore: true });
  expect(agent.endOf("a1")).toEqual({ how: "timedOut" });
});

test("a timeout that passes while somebody else's stop is under way leaves the reason alone", () => {
  const agent = new TestAgent().connectAndSync().run("a1", { timeoutSeconds: 5 });
  agent.say(stop("a1", 100));
  agent.pass(10_000);
  agent.ended("a1", { exit: { read: "code", code: 143 }, termBefore: true, timedOut: true });
  expect(agent.endOf("a1")).toEqual({ how: "stopped", by: "ana" });
});

test("a signal is remembered before it is sent, and repeated starts of the same signal are one entry", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  const actions = agent.say({ kind: "signal", attempt: "a1", signal: "SIGUSR1" });
  expect(only(actions, "signal")).toEqual([{ action: "signal", attempt: "a1", signal: "SIGUSR1" }]);
  expect(agent.entry("a1")?.signals).toEqual(["SIGUSR1"]);
  expect(reported(actions)).toMatchObject([{ kind: "running" }]);
  agent.say({ kind: "signal", attempt: "a1", signal: "SIGUSR1" });
  expect(agent.entry("a1")?.signals).toEqual(["SIGUSR1"]);
});

test("a signal without a process is passed over, with a note", () => {
  const agent = new TestAgent().connectAndSync();
  agent.start("a1");
  expect(notes(agent.say({ kind: "signal", attempt: "a1", signal: "SIGHUP" }))).toEqual(["signalWithoutProcess"]);
  expect(only(agent.actions, "signal")).toEqual([]);
  expect(notes(agent.say({ kind: "signal", attempt: "zz", signal: "SIGHUP" }))).toEqual(["signalWithoutProcess"]);
});
