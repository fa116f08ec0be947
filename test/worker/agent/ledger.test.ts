import { expect, test } from "vitest";
import { workerLimits } from "../../../schema/limits.ts";
import { createAgent, step } from "../../../worker/agent/agent.ts";
import { isSettled } from "../../../worker/agent/ledger.ts";
import type { LedgerEntry } from "../../../worker/agent/records.ts";
import { MemoryJournal } from "./memory-journal.ts";
import { launched, startTtlMs, TestAgent } from "./kit.ts";

const week = workerLimits.ledgerKeptMs;

/** An agent whose `old` ended a week and more ago. */
function withOld(): TestAgent {
  const agent = new TestAgent().connectAndSync().run("old");
  agent.ended("old");
  agent.wall += week + 1;
  return agent;
}

test("an old end is forgotten after startTtl beyond its ack, and not before (rule 3)", () => {
  const agent = withOld();
  agent.pass(10_000);
  expect(agent.entry("old")).toBeDefined();
  agent.ack();
  agent.pass(startTtlMs);
  expect(agent.entry("old")).toBeDefined();
  expect(launched(agent.start("old"))).toEqual([]);
  agent.pass(1_000);
  expect(agent.entry("old")).toBeUndefined();
});

test("an end that no ack covers is never forgotten", () => {
  const agent = withOld();
  agent.put({ kind: "disconnected" });
  agent.pass(3_600_000);
  expect(agent.entry("old")).toBeDefined();
});

test("a start that was fresh for longer keeps the ledger for as long", () => {
  const agent = new TestAgent().connectAndSync().run("old", { ttlMs: 10 * startTtlMs });
  agent.ended("old");
  agent.wall += week + 1;
  agent.ack();
  agent.pass(9 * startTtlMs);
  expect(agent.entry("old")).toBeDefined();
  agent.pass(2 * startTtlMs);
  expect(agent.entry("old")).toBeUndefined();
});

test("a restart does not shorten that time: an ack counts from the new agent's start", () => {
  const agent = withOld();
  agent.ack();
  const next = agent.restart({ afterMs: 10 * startTtlMs });
  next.recover();
  next.pass(startTtlMs - 1);
  expect(next.entry("old")).toBeDefined();
  next.pass(1_000);
  expect(next.entry("old")).toBeUndefined();
});

test("more than its bound of entries: the oldest acknowledged ones go, a thousand in a step", () => {
  const journal = new MemoryJournal();
  const count = workerLimits.ledgerEntries + 1_500;
  const probe = new TestAgent().connectAndSync().run("x");
  probe.ended("x");
  const like = probe.entry("x") as LedgerEntry;
  for (let i = 1; i <= count; i += 1) journal.entries.set(`e${i}`, { ...like, attempt: `e${i}`, endSeq: i });
  journal.meta = { ...journal.meta, highestAck: count };
  const agent = new TestAgent({ journal });
  agent.recover();
  agent.pass(startTtlMs);
  expect(agent.state.ended.size).toBe(count);
  agent.jump(1_000);
  expect(agent.state.ended.size).toBe(count - workerLimits.ledgerForgottenAtOnce);
  agent.pass(startTtlMs);
  expect(agent.state.ended.size).toBe(workerLimits.ledgerEntries);
  expect(agent.entry("e1500")).toBeUndefined();
  expect(agent.entry("e1501")).toBeDefined();
});

test("settled means: ended, and its end acknowledged, also by an earlier agent's manager", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  expect(isSettled(agent.state, "a1")).toBe(false);
  agent.ended("a1");
  expect(isSettled(agent.state, "a1")).toBe(false);
  agent.ack();
  expect(isSettled(agent.state, "a1")).toBe(true);
  expect(isSettled(agent.restart().state, "a1")).toBe(true);
  expect(isSettled(agent.state, "nobody")).toBe(false);
});

test("too many reports without an ack: commands that would add one come again later, ends are kept", () => {
  const agent = new TestAgent();
  const journal = {
    meta: { journal: "journal00001", n: 1, highestTerm: 0, highestAck: 0, nextSeq: workerLimits.unackedReports + 1 },
    entries: [],
    reports: Array.from({ length: workerLimits.unackedReports - 1 }, (_, i) => ({
      seq: i + 1,
      attempt: `o${i}`,
      body: '{"attempt":"o","start":1,"kind":"accepted","at":1}',
    })),
  };
  const state = createAgent(agent.options, journal, agent.now());
  const say = (items: Parameters<TestAgent["say"]>[0]) => {
    const list = Array.isArray(items) ? items : [items];
    return step(
      state,
      { kind: "commands", message: { v: 1, term: 1, asOf: { epoch: agent.epoch, mono: agent.mono }, items: list } },
      agent.now(),
    );
  };
  say({ kind: "stop", attempt: "last", by: "ana", graceSeconds: 0 });
  expect(state.ended.size).toBe(1);
  const dropped = say({ kind: "stop", attempt: "more", by: "ana", graceSeconds: 0 });
  expect(state.ended.size).toBe(1);
  expect(dropped.actions).toMatchObject([{ action: "note", what: "tooManyReports", attempt: "more" }]);
});
