/** Rule 28: a leader whose database was taken back asks for the ledger, and gets all of it that it lacks, in pages. */
import { expect, test } from "vitest";
import { timing, workerLimits } from "../../../schema/limits.ts";
import type { LedgerEntry } from "../../../worker/agent/records.ts";
import { startTtlMs, TestAgent, published } from "./kit.ts";
import { journalId, MemoryJournal } from "./memory-journal.ts";

const ask = (above: number, journal = journalId) => ({ kind: "ask" as const, ledger: { journal, above } });

/** Two that ended and were acknowledged, one that ended and was not, one that runs. */
function worked(): TestAgent {
  const agent = new TestAgent().connectAndSync();
  for (const attempt of ["a1", "a2", "a3"]) agent.run(attempt).ended(attempt);
  agent.ack(agent.entry("a2")?.endSeq);
  agent.run("a4");
  agent.pass(timing.helloSpacingMs);
  return agent;
}

test("what ended above the seq is listed with the seq of its end, beside what any hello lists", () => {
  const agent = worked();
  const [one, two] = [agent.entry("a1"), agent.entry("a2")];
  const [hello] = published(agent.say(ask(one?.endSeq ?? 0)), "hello");
  expect(hello?.ledger).toEqual({ above: one?.endSeq, upTo: two?.endSeq, forgotten: 0 });
  expect(hello?.inventory.items.map((item) => [item.attempt, item.state, item.acked?.seq])).toEqual([
    ["a4", "running", undefined],
    ["a3", "ended", undefined],
    ["a2", "ended", two?.endSeq],
  ]);
  expect(hello?.inventory.items.at(-1)).toMatchObject({
    run: two?.run,
    end: { how: "exited", code: 0 },
    acked: { startedAt: two?.startedWall, endedAt: two?.changedWall },
  });
});

test("a hello that nobody asked the ledger of has none of it, and neither has the one after the answer", () => {
  const agent = worked();
  expect(published(agent.say({ kind: "ask", hello: true }), "hello")[0]?.ledger).toBeUndefined();
  agent.pass(timing.helloSpacingMs);
  expect(published(agent.say(ask(0)), "hello")[0]?.inventory.items).toHaveLength(4);
  agent.pass(timing.helloSpacingMs);
  const [plain] = published(agent.say({ kind: "ask", hello: true }), "hello");
  expect([plain?.ledger, plain?.inventory.items.length]).toEqual([undefined, 2]);
});

test("asked twice within the spacing it answers once, and the question is not forgotten; another journal's is passed over", () => {
  const agent = worked();
  agent.say(ask(0));
  expect(published(agent.say(ask(3)), "hello")).toEqual([]);
  expect(published(agent.pass(timing.helloSpacingMs), "hello").map((hello) => hello.ledger?.above)).toEqual([3]);
  agent.pass(timing.helloSpacingMs);
  expect(published(agent.say(ask(0, "journal00009")), "hello")[0]?.ledger).toBeUndefined();
});

test("a long ledger comes in pages that follow each other without a gap", () => {
  const journal = new MemoryJournal();
  const count = workerLimits.ledgerPerHello * 2 + 5;
  const probe = new TestAgent().connectAndSync().run("x");
  probe.ended("x");
  const like = probe.entry("x") as LedgerEntry;
  for (let i = 1; i <= count; i += 1) journal.entries.set(`e${i}`, { ...like, attempt: `e${i}`, endSeq: i * 3 });
  journal.meta = { ...journal.meta, highestAck: count * 3 + 1 };
  const agent = new TestAgent({ journal });
  agent.recover();
  agent.connectAndSync();
  const seen: (number | undefined)[] = [];
  const pages: number[] = [];
  for (let above = 0; above < count * 3 + 1;) {
    agent.pass(timing.helloSpacingMs);
    const parts = published(agent.say(ask(above)), "hello");
    const items = parts.flatMap((hello) => hello.inventory.items);
    seen.push(...items.map((item) => item.acked?.seq));
    pages.push(items.length);
    const upTo = parts[0]?.ledger?.upTo ?? 0;
    expect(upTo).toBeGreaterThan(above);
    above = upTo;
  }
  expect(pages).toEqual([workerLimits.ledgerPerHello, workerLimits.ledgerPerHello, 5]);
  expect(seen).toEqual(Array.from({ length: count }, (_, i) => (i + 1) * 3));
});

test("what the ledger has forgotten is said, also by a later agent", () => {
  const agent = new TestAgent().connectAndSync();
  for (const attempt of ["a1", "a2"]) agent.run(attempt).ended(attempt);
  agent.ack();
  const [one, two] = [agent.entry("a1")?.endSeq, agent.entry("a2")?.endSeq];
  agent.pass(startTtlMs + 1_000);
  agent.wall += workerLimits.ledgerKeptMs;
  agent.tick();
  expect([agent.entry("a1"), agent.entry("a2")]).toEqual([undefined, undefined]);
  const next = agent.restart();
  next.recover();
  next.connectAndSync();
  next.pass(timing.helloSpacingMs);
  expect(published(next.say(ask(one ?? 0)), "hello")[0]).toMatchObject({ ledger: { forgotten: two }, inventory: { items: [] } });
});
