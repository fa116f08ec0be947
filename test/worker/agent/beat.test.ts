import { expect, test } from "vitest";
import { liveDigest } from "../../../schema/digest.ts";
import { nextDue, viewOf, willOf } from "../../../worker/agent/agent.ts";
import { heartbeatMs, launched, only, published, reported, startTtlMs, TestAgent } from "./kit.ts";

test("a heartbeat each interval while connected: free room without what is held, load, digest of all that has not ended", () => {
  const agent = new TestAgent({ options: { capacity: { slots: 2, memoryMb: 100, cpus: 1 } } }).connectAndSync();
  agent
    .run("a1", { requires: { slots: 1, memoryMb: 10, cpus: 0.1 } })
    .run("a2", { requires: { slots: 1, memoryMb: 0, cpus: 0.2 } });
  agent.start("held", { requires: { slots: 1, memoryMb: 5, cpus: 0 } });
  const beats = published(agent.pass(3 * heartbeatMs), "heartbeat");
  expect(beats).toHaveLength(3);
  expect(beats[0]).toMatchObject({
    epoch: agent.epoch,
    connection: 1,
    free: { slots: 0, memoryMb: 85, cpus: 0.7 },
    load: { cpu: 0.5, memoryMb: 100 },
    spoolBytes: 7,
    draining: false,
    live: liveDigest(["a1", "a2", "held"]),
  });
  agent.put({ kind: "disconnected" });
  expect(published(agent.pass(3 * heartbeatMs), "heartbeat")).toEqual([]);
});

test("it asks for ticks that keep it from taking itself for away, and never for one in the past", () => {
  const agent = new TestAgent();
  expect((nextDue(agent.state) ?? 0) - agent.mono).toBeLessThan(startTtlMs / 2);
  agent.connectAndSync().run("a1", { timeoutSeconds: 1 });
  agent.say({ kind: "stop", attempt: "a1", by: "ana", graceSeconds: 0 });
  for (let i = 0; i < 200; i += 1) {
    agent.jump((nextDue(agent.state) ?? 0) - agent.mono);
    expect(nextDue(agent.state)).toBeGreaterThan(agent.mono);
  }
});

test("leaving: no new starts, held ones are given back, what runs goes on, and off is the last word", () => {
  const agent = new TestAgent().connectAndSync().run("a1").run("a2");
  agent.start("held");
  const actions = agent.put({ kind: "leave", stopRuns: false });
  expect(only(actions, "terminate")).toEqual([]);
  expect(agent.endOf("held")).toMatchObject({ how: "refused", why: expect.stringContaining("leaving") });
  expect(reported(actions)).toHaveLength(1);
  expect(actions.at(-1)).toEqual({ action: "publish", what: "status", message: { st: "off", ep: agent.epoch, cn: 1 } });
  expect(launched(agent.start("late"))).toEqual([]);
  expect(agent.endOf("late")).toMatchObject({ how: "refused" });
  expect(published(agent.pass(3 * heartbeatMs), "heartbeat")).toEqual([]);
});

test("leaving with its runs stopped: TERM, grace, KILL, their ends, and then off", () => {
  const agent = new TestAgent().connectAndSync().run("a1", { killGraceSeconds: 4 });
  const actions = agent.put({ kind: "leave", stopRuns: true });
  expect(only(actions, "terminate")).toHaveLength(1);
  expect(published(actions, "status")).toEqual([]);
  expect(only(agent.pass(4_000), "kill")).toHaveLength(1);
  const last = agent.ended("a1", { exit: { read: "unreadable", why: "blank" }, termBefore: true });
  expect(reported(last)).toMatchObject([{ end: { how: "stopped", by: "worker shutdown" } }]);
  expect(last.at(-1)).toMatchObject({ what: "status", message: { st: "off" } });
});

test("told twice: the second word stops what the first one left running", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.put({ kind: "leave", stopRuns: false });
  expect(only(agent.put({ kind: "leave", stopRuns: true }), "terminate")).toHaveLength(1);
});

test("the will and the view", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.run("a2").ended("a2", { exit: { read: "code", code: 1 } });
  expect(willOf(agent.epoch, 3)).toEqual({ st: "gone", ep: agent.epoch, cn: 3 });
  expect(viewOf(agent.state)).toEqual({
    connected: true,
    synced: true,
    draining: false,
    free: { slots: 1, memoryMb: 1_000, cpus: 8 },
    live: [{ attempt: "a1", run: "run-a1", state: "running", pid: 4_000 }],
    unackedReports: 5,
    refused: null,
    lastEnds: [{ attempt: "a2", end: { how: "exited", code: 1 } }],
  });
});
