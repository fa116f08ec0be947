import { expect, test } from "vitest";
import type { StartItem } from "../../../schema/messages.ts";
import { workerLimits } from "../../../schema/limits.ts";
import type { AgentOptions } from "../../../worker/agent/types.ts";
import { launched, only, reported, startOf, startTtlMs, TestAgent } from "./kit.ts";

const body = { path: "/bodies/x", sha256: "0".repeat(64), size: 9, ticket: "t" };

function refusal(agent: TestAgent, attempt: string): string | undefined {
  const end = agent.endOf(attempt);
  return end?.how === "refused" ? end.why : undefined;
}

test("a start is accepted durably, launched with everything it brought, and reported step by step", () => {
  const agent = new TestAgent().connectAndSync();
  const actions = agent.start("a1", { timeoutSeconds: 60 });
  expect(agent.writes.map((write) => write.write)).toEqual(["entry", "report"]);
  const [launch] = only(actions, "launch");
  expect(launch?.order).toMatchObject({ attempt: "a1", env: { SECRET: "hush" }, spec: { program: "/bin/true" } });
  expect(launch?.freshUntilMono).toBe(agent.mono + startTtlMs);
  expect(reported(actions).map((report) => [report.seq, report.kind])).toEqual([[1, "accepted"]]);
  expect(reported(agent.started("a1", 77))).toMatchObject([{ seq: 2, kind: "running", pid: 77, startedAt: agent.wall }]);
  expect(reported(agent.ended("a1"))).toMatchObject([{ seq: 3, kind: "end", end: { how: "exited", code: 0 }, pid: 77 }]);
});

test("neither script nor env lies in the journal, and nothing of them stays in memory after the launch", () => {
  const agent = new TestAgent().connectAndSync();
  agent.start("a1");
  expect(JSON.stringify([...agent.journal.entries.values()])).not.toContain("hush");
  expect(JSON.stringify([...agent.state.live.values()])).not.toContain("hush");
});

test("a repeated start is answered with a new report and never obeyed: live, ended, acknowledged, restarted (rule 3)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("a1");
  agent.ack();
  const again = agent.start("a1");
  expect(launched(again)).toEqual([]);
  expect(reported(again)).toMatchObject([{ seq: 3, kind: "running" }]);

  agent.ended("a1");
  agent.ack();
  expect(reported(agent.start("a1"))).toMatchObject([{ seq: 5, kind: "end", end: { how: "exited", code: 0 } }]);
  agent.ack();

  const next = agent.restart({ afterMs: 60_000 });
  next.recover();
  next.connectAndSync();
  const last = next.start("a1");
  expect(launched(last)).toEqual([]);
  expect(reported(last)).toMatchObject([{ seq: 6, kind: "end", end: { how: "exited", code: 0 } }]);
});

test("however often a start is repeated, one answer of it waits for an ack", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("a1");
  for (let i = 0; i < 50; i += 1) agent.start("a1");
  expect(agent.journal.reports.size).toBe(3);
  agent.ack();
  expect(reported(agent.start("a1"))).toHaveLength(1);
});

test.each<[string, Partial<StartItem>, Partial<AgentOptions>, string]>([
  ["driver", { driver: "wasm" }, {}, "no driver wasm: this worker has exec, script"],
  [
    "retry without a fence",
    { onLost: "retry", lostAfterSeconds: 100 },
    { fences: false },
    "onLost is retry, and this host cannot stop",
  ],
  ["retry without a time", { onLost: "retry" }, {}, "does not say lostAfterSeconds"],
  [
    "too many slots",
    { requires: { slots: 3, memoryMb: 0, cpus: 0 } },
    {},
    "does not fit: it needs 3 slots, 0 MB, 0 cpus, this worker has 2 slots",
  ],
  ["too much memory", { requires: { slots: 1, memoryMb: 1_001, cpus: 0 } }, {}, "does not fit"],
  ["too many cpus", { requires: { slots: 1, memoryMb: 0, cpus: 9 } }, {}, "does not fit"],
  ["a body without HTTP", { spec: undefined, body }, { http: false }, "body not fetched"],
  ["nothing to run", { spec: undefined }, {}, "neither spec nor body"],
])("refused, with the reason in the end: %s", (_, more, options, why) => {
  const agent = new TestAgent({ options }).connectAndSync();
  const item = startOf("a1", more);
  if (item.spec === undefined) delete item.spec;
  const actions = agent.say(item);
  expect(launched(actions)).toEqual([]);
  expect(refusal(agent, "a1")).toContain(why);
  expect(reported(actions)).toMatchObject([{ kind: "end", end: { how: "refused" } }]);
  // It stays refused, also when the reason is gone.
  expect(launched(agent.start("a1"))).toEqual([]);
});

test("room is kept by slots, memory and cpus, and given back at the end", () => {
  const agent = new TestAgent().connectAndSync();
  expect(launched(agent.start("a1", { requires: { slots: 1, memoryMb: 800, cpus: 0.1 } }))).toEqual(["a1"]);
  expect(launched(agent.start("a2", { requires: { slots: 1, memoryMb: 300, cpus: 0 } }))).toEqual([]);
  expect(launched(agent.start("a3", { requires: { slots: 1, memoryMb: 200, cpus: 7.9 } }))).toEqual(["a3"]);
  agent.started("a1");
  expect(launched(agent.ended("a1"))).toEqual(["a2"]);
});

test("a few starts beyond what is free are held in order and launched when room comes; the next one is refused", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("r1").run("r2");
  for (let i = 1; i <= workerLimits.heldStarts; i += 1) expect(launched(agent.start(`h${i}`))).toEqual([]);
  agent.start("one-too-many");
  expect(refusal(agent, "one-too-many")).toContain("no room: it needs 1 slots");
  expect(launched(agent.ended("r2"))).toEqual(["h1"]);
  expect(launched(agent.ended("r1"))).toEqual(["h2"]);
});

test("a held start that is too large for now does not block a smaller one behind it", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("r1").run("r2");
  agent.start("large", { requires: { slots: 2, memoryMb: 0, cpus: 0 } });
  agent.start("small");
  expect(launched(agent.ended("r1"))).toEqual(["small"]);
});

test("a held start that is no longer fresh is refused, and is not launched when room comes (rule 6)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("r1").run("r2");
  agent.start("held");
  agent.pass(startTtlMs - 1);
  expect(agent.entry("held")?.state).toBe("accepted");
  agent.pass(1);
  expect(refusal(agent, "held")).toBe("stale: no room came free in time");
  expect(launched(agent.ended("r1"))).toEqual([]);
});

test("a held start is as old as the echo that it came with, not as its acceptance (rules 6, 7)", () => {
  const agent = new TestAgent().connectAndSync().run("a1", { requires: { slots: 2, memoryMb: 0, cpus: 0 } });
  const echo = agent.mono;
  agent.pass(20_000);
  agent.start("held", {}, { mono: echo });
  agent.pass(startTtlMs - 20_000 - 1);
  expect(agent.entry("held")?.state).toBe("accepted");
  agent.pass(1);
  expect(refusal(agent, "held")).toContain("stale");

  // And so for whoever launches it: the room came in time, the launch may be held back by a full journal.
  const other = new TestAgent().connectAndSync();
  const older = other.mono;
  other.pass(10_000);
  expect(only(other.start("a2", {}, { mono: older }), "launch")[0]?.freshUntilMono).toBe(older + startTtlMs);
});

test("a start that echoes nothing is fresh to nobody, also where the host was booted a moment ago (rule 5)", () => {
  const agent = new TestAgent({ mono: 20_000 }).connectAndSync();
  agent.start("a1", {}, { mono: 0 });
  expect(refusal(agent, "a1")).toContain("stale");
});

test("room that comes in the very step in which a held start goes stale launches nothing", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("r1").run("r2");
  agent.start("held");
  agent.pass(startTtlMs - 10);
  agent.mono += 10;
  expect(launched(agent.ended("r1"))).toEqual([]);
  expect(refusal(agent, "held")).toContain("stale");
});

test("a start that was held through a gap is not launched after it", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("r1").run("r2");
  agent.start("held");
  agent.jump(startTtlMs / 2 + 1);
  expect(launched(agent.ended("r1"))).toEqual([]);
  expect(refusal(agent, "held")).toContain("stale");
});

test("a body is fetched first; its env lies below the start's own", () => {
  const agent = new TestAgent().connectAndSync();
  const { spec: _, ...item } = startOf("a1", { body, env: { A: "start" } });
  expect(only(agent.say(item), "fetchBody")).toEqual([{ action: "fetchBody", attempt: "a1", body }]);
  const actions = agent.put({
    kind: "bodyFetched",
    attempt: "a1",
    spec: { driver: "exec", program: "/x" },
    env: { A: "body", B: "body" },
  });
  expect(only(actions, "launch")[0]?.order).toMatchObject({ spec: { program: "/x" }, env: { A: "start", B: "body" } });
});

test("a body that fails, or does not come while the start is fresh, is a refusal; one that comes later starts nothing", () => {
  const agent = new TestAgent().connectAndSync();
  for (const attempt of ["a1", "a2"]) {
    const { spec: _, ...item } = startOf(attempt, { body });
    agent.say(item);
  }
  agent.put({ kind: "bodyFailed", attempt: "a1", why: "404" });
  expect(refusal(agent, "a1")).toBe("body not fetched: 404");
  agent.pass(startTtlMs);
  expect(refusal(agent, "a2")).toBe("body not fetched in time");
  expect(agent.put({ kind: "bodyFetched", attempt: "a2", spec: { driver: "exec" }, env: {} })).toEqual([]);
});

test("without the journal's reserve starts are refused and ends are still written (rule 26)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.run("a1");
  agent.put({ kind: "room", room: false });
  agent.start("a2");
  expect(refusal(agent, "a2")).toContain("disk is full");
  agent.ended("a1");
  expect(agent.endOf("a1")).toEqual({ how: "exited", code: 0 });
  agent.put({ kind: "room", room: true });
  expect(launched(agent.start("a3"))).toEqual(["a3"]);
});

test("what never ran ends as the host says; a refusal of what was to be stopped is its stop", () => {
  const agent = new TestAgent({ options: { capacity: { slots: 9, memoryMb: 0, cpus: 0 } } }).connectAndSync();
  agent.start("a1");
  agent.start("a2");
  agent.start("a3");
  agent.put({ kind: "notStarted", attempt: "a1", how: "failedToStart", why: "no such program" });
  agent.put({ kind: "notStarted", attempt: "a2", how: "refused", why: "no room" });
  agent.say({ kind: "stop", attempt: "a3", by: "ana", graceSeconds: 1 });
  agent.put({ kind: "notStarted", attempt: "a3", how: "refused", why: "no room" });
  expect(["a1", "a2", "a3"].map((id) => agent.endOf(id))).toEqual([
    { how: "failedToStart", why: "no such program" },
    { how: "refused", why: "no room" },
    { how: "stopped", by: "ana" },
  ]);
  // A process that did start cannot be called never started.
  agent.run("a4");
  agent.put({ kind: "notStarted", attempt: "a4", how: "refused", why: "late" });
  expect(agent.entry("a4")?.state).toBe("running");
});

test("an hour without a manager: what runs goes on, ends are kept, and are told in order afterwards", () => {
  const agent = new TestAgent({ options: { capacity: { slots: 200, memoryMb: 0, cpus: 0 } } }).connectAndSync();
  for (let i = 0; i < 100; i += 1) agent.run(`a${i}`);
  agent.ack();
  agent.put({ kind: "disconnected" });
  for (let i = 0; i < 100; i += 1) {
    agent.pass(36_000);
    agent.put({ kind: "progress", attempt: `a${i}`, percent: 50, message: null });
    agent.ended(`a${i}`, { exit: { read: "code", code: i } });
  }
  expect(agent.journal.reports.size).toBeLessThanOrEqual(200);
  agent.connectAndSync();
  const ends = reported(agent.actions).filter((report) => report.kind === "end");
  expect(ends.map((report) => report.end)).toEqual(Array.from({ length: 100 }, (_, code) => ({ how: "exited", code })));
});

test("its program could not be executed, which its shim may tell after it had made its mark", () => {
  const agent = new TestAgent().connectAndSync().run("a1").run("a2");
  agent.put({ kind: "notStarted", attempt: "a1", how: "failedToStart", why: "no such program" });
  expect(agent.endOf("a1")).toEqual({ how: "failedToStart", why: "no such program" });
  expect(launched(agent.start("next"))).toEqual(["next"]);
  // Only the failed exec comes second: what has a process is never refused, for it would be placed again.
  agent.put({ kind: "notStarted", attempt: "a2", how: "refused", why: "no room" });
  expect(agent.entry("a2")?.state).toBe("running");
});
