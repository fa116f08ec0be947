import { expect, test } from "vitest";
import { timing } from "../../../schema/limits.ts";
import { launched, notes, only, reported, startOf, startTtlMs, TestAgent } from "./kit.ts";

const otherEpoch = "journal00001.9.nonceOTHER00";

test("commands for another epoch are dropped, whatever they ask for", () => {
  const agent = new TestAgent().connectAndSync();
  const actions = agent.start("a1", {}, { epoch: otherEpoch });
  expect(notes(actions)).toEqual(["otherEpoch"]);
  expect(agent.journal.entries.size).toBe(0);
});

test("a lower term than was obeyed is dropped, also after a restart (rule 15)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.start("a1", {}, { term: 7 });
  expect(agent.journal.meta.highestTerm).toBe(7);
  expect(notes(agent.say({ kind: "stop", attempt: "a1", by: "old leader", graceSeconds: 1 }, { term: 6 }))).toEqual([
    "lowerTerm",
  ]);
  expect(agent.entry("a1")?.stopBy).toBeNull();

  const later = agent.restart();
  later.recover();
  expect(notes(later.start("a2", {}, { term: 6 }))).toEqual(["lowerTerm"]);
  expect(launched(later.start("a3", {}, { term: 7 }))).toEqual(["a3"]);
});

test("a leader of a lower term that asks who this is hears it, with the term that was obeyed, and nothing else of it is done", () => {
  const agent = new TestAgent().connectAndSync();
  agent.start("a1", {}, { term: 7 });
  agent.pass(timing.helloSpacingMs);
  const [stop, ask] = [
    { kind: "stop", attempt: "a1", by: "old leader", graceSeconds: 1 } as const,
    { kind: "ask", hello: true } as const,
  ];
  const actions = agent.say([stop, ask], { term: 6 });
  expect(notes(actions)).toEqual(["lowerTerm"]);
  expect(actions.filter((one) => one.action === "publish").map((one) => one.what)).toEqual(["hello"]);
  expect(actions).toContainEqual(
    expect.objectContaining({ action: "publish", what: "hello", message: expect.objectContaining({ highestTerm: 7 }) }),
  );
  expect(agent.entry("a1")?.stopBy).toBeNull();
  expect(agent.journal.meta.highestTerm).toBe(7);
});

test("a higher term sends unacknowledged output out again, once: the leader before took what was on the wire with it", () => {
  const agent = new TestAgent().connectAndSync();
  const again = { action: "logsAgain" };
  expect(only(agent.say({ kind: "drain", on: false }, { term: 7 }), "logsAgain")).toEqual([again]);
  expect(only(agent.say({ kind: "drain", on: false }, { term: 7 }), "logsAgain")).toEqual([]);
  expect(only(agent.say({ kind: "drain", on: false }, { term: 6 }), "logsAgain")).toEqual([]);
  expect(only(agent.say({ kind: "drain", on: false }, { term: 8 }), "logsAgain")).toEqual([again]);
});

test("one message may hold many items, and each is done", () => {
  const agent = new TestAgent().connectAndSync();
  const actions = agent.say([
    startOf("a1"),
    startOf("a2"),
    { kind: "logsAck", attempt: "a1", stream: "stdout", offset: 5 },
    { kind: "stop", attempt: "zz", by: "ana", graceSeconds: 0 },
  ]);
  expect(launched(actions)).toEqual(["a1", "a2"]);
  expect(only(actions, "logsAck")).toEqual([{ action: "logsAck", attempt: "a1", stream: "stdout", offset: 5 }]);
  expect(agent.endOf("zz")).toEqual({ how: "stopped", by: "ana" });
});

test.each([
  ["fresh", 0, true],
  ["just fresh", startTtlMs - 1, true],
  ["stale by the very instant", startTtlMs, false],
  ["long stale", 10 * startTtlMs, false],
  ["from the future of this clock", -1, false],
])("a start that is %s is obeyed: %s ms old → %s (rule 6)", (_, ageMs, obeyed) => {
  const agent = new TestAgent({ mono: 10_000_000 }).connectAndSync();
  agent.state.gapMono = 0;
  const actions = agent.start("a1", {}, { mono: agent.mono - ageMs });
  expect(launched(actions)).toEqual(obeyed ? ["a1"] : []);
  if (!obeyed) expect(agent.endOf("a1")).toMatchObject({ how: "refused", why: expect.stringContaining("stale") });
});

test("a start's own echo counts, not the newest that was heard", () => {
  const agent = new TestAgent().connectAndSync();
  const old = agent.mono;
  agent.pass(startTtlMs);
  agent.say({ kind: "drain", on: false });
  expect(launched(agent.start("a1", {}, { mono: old }))).toEqual([]);
  expect(launched(agent.start("a2"))).toEqual(["a2"]);
});

test("after a gap in its own steps it obeys no start until a later instant is echoed (rule 6)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.pass(20_000);
  const before = agent.mono;
  expect(notes(agent.jump(startTtlMs / 2 + 1))).toContain("gap");
  expect(launched(agent.start("a1", {}, { mono: before }))).toEqual([]);
  expect(agent.endOf("a1")).toMatchObject({ how: "refused" });
  expect(launched(agent.start("a2", {}, { mono: agent.mono }))).toEqual(["a2"]);
});

test("a gap that a command itself ends is noticed before the command is read", () => {
  const agent = new TestAgent().connectAndSync();
  agent.pass(5_000);
  const before = agent.mono;
  agent.mono += startTtlMs / 2 + 1;
  expect(launched(agent.start("a1", {}, { mono: before }))).toEqual([]);
});

test("a pause shorter than that changes nothing", () => {
  const agent = new TestAgent().connectAndSync();
  agent.pass(5_000);
  const before = agent.mono;
  agent.jump(startTtlMs / 2);
  expect(launched(agent.start("a1", {}, { mono: before }))).toEqual(["a1"]);
});

test("settings of the manager are taken, whatever their version", () => {
  const agent = new TestAgent().connectAndSync();
  agent.say({ kind: "settings", version: 5, heartbeatMs: 100, startTtlMs: 350, workerLostMs: 750 });
  const beats = agent.pass(1_000).filter((action) => action.action === "publish" && action.what === "heartbeat");
  expect(beats.length).toBe(10);
  agent.say({ kind: "settings", version: 2, heartbeatMs: 500, startTtlMs: 1_750, workerLostMs: 3_750 });
  expect(agent.state.settings).toMatchObject({ version: 2, heartbeatMs: 500 });
});

test("draining refuses starts and says so, undraining takes them again", () => {
  const agent = new TestAgent().connectAndSync();
  agent.say({ kind: "drain", on: true });
  expect(reported(agent.start("a1")).map((report) => report.end)).toEqual([
    { how: "refused", why: expect.stringContaining("draining") },
  ]);
  agent.say({ kind: "drain", on: false });
  expect(launched(agent.start("a2"))).toEqual(["a2"]);
});
