import { expect, test } from "vitest";
import { wireLimits } from "../../../schema/limits.ts";
import { published, reported, TestAgent } from "./kit.ts";

const many = { capacity: { slots: 5_000, memoryMb: 0, cpus: 0 } };
const word = "w".repeat(400);

/** `count` ends of about 500 bytes each wait for an ack. */
function withEnds(count: number): TestAgent {
  const agent = new TestAgent({ options: many });
  for (let i = 0; i < count; i += 1) agent.say({ kind: "stop", attempt: `s${i}`, by: word, graceSeconds: 0 });
  return agent;
}

test("nothing is reported before the sync of this connection, everything after it", () => {
  const agent = withEnds(3);
  expect(reported(agent.connect())).toEqual([]);
  expect(reported(agent.say({ kind: "drain", on: false }))).toEqual([]);
  agent.say({ kind: "sync", epoch: agent.epoch, connection: 1 });
  expect(reported(agent.actions).map((report) => report.seq)).toEqual([1, 2, 3]);
});

test("at most 64 KiB of unacknowledged reports are on the wire; an ack lets the next out (rule 16)", () => {
  const agent = withEnds(300).connectAndSync();
  const first = reported(agent.actions);
  expect(JSON.stringify(first).length).toBeLessThanOrEqual(wireLimits.unackedReportBytes);
  expect(first.length).toBeGreaterThan(100);
  expect(reported(agent.tick())).toEqual([]);
  const next = reported(agent.ack(first[49]?.seq ?? 0));
  expect(next[0]?.seq).toBe(first.length + 1);
  expect(next.length).toBeGreaterThan(40);
  const seen = [...first, ...next];
  while ((seen.at(-1)?.seq ?? 0) < 300) seen.push(...reported(agent.ack(seen.at(-1)?.seq ?? 0)));
  expect(seen.map((report) => report.seq)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
});

test("one message holds at most itemsPerMessage reports", () => {
  const agent = new TestAgent({ options: many });
  for (let i = 0; i < 600; i += 1) agent.say({ kind: "stop", attempt: `s${i}`, by: "a", graceSeconds: 0 });
  agent.connectAndSync();
  expect(published(agent.actions, "reports").map((message) => message.items.length)[0]).toBe(wireLimits.itemsPerMessage);
});

test("without an ack it resends from the first unacknowledged: after 2 s, doubling to 30 s, and anew after progress", () => {
  const agent = withEnds(2).connectAndSync();
  const at: number[] = [];
  const began = agent.mono;
  while (agent.mono < began + 130_000) if (reported(agent.pass(100)).length > 0) at.push((agent.mono - began) / 1_000);
  expect(at).toEqual([2, 6, 14, 30, 60, 90, 120]);
  agent.ack(1);
  const again = agent.mono;
  let report = reported(agent.actions);
  while (report.length === 0) report = reported(agent.pass(100));
  expect(report.map((item) => item.seq)).toEqual([2]);
  expect(agent.mono - again).toBe(2_000);
  expect(reported(agent.pass(3_999))).toEqual([]);
  expect(reported(agent.pass(1))).toHaveLength(1);
});

test("an ack for another journal, an old one, and one ahead of everything written change nothing", () => {
  const agent = withEnds(3).connectAndSync();
  agent.say({ kind: "ack", journal: "journalOTHER", seq: 3 });
  agent.say({ kind: "ack", journal: "journal00001", seq: 4 });
  expect(agent.journal.reports.size).toBe(3);
  agent.ack(2);
  agent.ack(1);
  expect([...agent.journal.reports.keys()]).toEqual([3]);
  expect(agent.journal.meta.highestAck).toBe(2);
});

test("seq goes on without a gap over restarts, also when everything was acknowledged (rule 12)", () => {
  const agent = withEnds(3).connectAndSync();
  agent.ack();
  const next = agent.restart();
  next.recover();
  next.connectAndSync();
  expect(reported(next.say({ kind: "stop", attempt: "x", by: "ana", graceSeconds: 0 })).map((report) => report.seq)).toEqual([4]);
  const third = next.restart();
  third.recover();
  third.connectAndSync();
  expect(reported(third.actions).map((report) => [report.seq, report.attempt])).toEqual([[4, "x"]]);
});

test("a settled end is told once, when its own report is acknowledged", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.ended("a1");
  expect(agent.ack(2).filter((action) => action.action === "settled")).toEqual([]);
  expect(agent.ack(3).filter((action) => action.action === "settled")).toEqual([{ action: "settled", attempt: "a1" }]);
  agent.start("a1");
  expect(agent.ack().filter((action) => action.action === "settled")).toEqual([]);
});

test("progress: one report a second, one unacknowledged, the newest wins, and the last goes before the end", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.ack();
  const progress = (percent: number | null, message: string | null = null) =>
    reported(agent.put({ kind: "progress", attempt: "a1", percent, message }));
  expect(progress(1)).toMatchObject([{ kind: "progress", percent: 1 }]);
  expect(progress(2)).toEqual([]);
  agent.pass(1_500);
  expect(progress(3)).toEqual([]);
  expect(agent.journal.reports.size).toBe(1);
  agent.ack();
  expect(reported(agent.pass(1_000))).toMatchObject([{ kind: "progress", percent: 3 }]);
  agent.ack();
  progress(4);
  progress(200, "a\nb");
  expect(reported(agent.ended("a1"))).toMatchObject([{ kind: "progress", percent: 100, message: "a b" }, { kind: "end" }]);
});

test("progress without a manager piles up nowhere", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.put({ kind: "disconnected" });
  const before = agent.journal.reports.size;
  for (let i = 0; i < 100; i += 1) {
    agent.pass(1_000);
    agent.put({ kind: "progress", attempt: "a1", percent: i, message: null });
  }
  expect(agent.journal.reports.size).toBe(before);
  agent.connectAndSync();
  agent.ack();
  expect(reported(agent.pass(1_000))).toMatchObject([{ kind: "progress", percent: 99 }]);
});

test("the longest sentences a message may carry still make messages that fit", () => {
  const agent = new TestAgent({ options: many });
  for (let i = 0; i < 200; i += 1) agent.say({ kind: "stop", attempt: `s${i}`, by: "\u0001".repeat(500), graceSeconds: 0 });
  agent.connectAndSync();
  // The test agent looks at the size of every message.
  const seen = [...reported(agent.actions)];
  while ((seen.at(-1)?.seq ?? 0) < 200) seen.push(...reported(agent.ack(seen.at(-1)?.seq ?? 0)));
  expect(seen).toHaveLength(200);
});

test("an acknowledgement that comes together with a question: the answer is durable before it is sent (rule 12)", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  const seq = agent.state.nextSeq - 1;
  const answered = agent.say([
    { kind: "ack", journal: agent.state.journal, seq },
    { kind: "ask", attempts: ["a1"] },
  ]);
  expect(reported(answered)).toMatchObject([{ seq: seq + 1, kind: "running" }]);
  // An agent that died over it would give its number to another report, which the manager would pass over.
  expect(agent.restart().state.nextSeq).toBe(seq + 2);
});
