import { expect, test } from "vitest";
import { startOf, startTtlMs, TestAgent, launched, notes, only, published, reported } from "./kit.ts";

test("after SUBACK: status, then a hello that says what the leader must know", () => {
  const agent = new TestAgent();
  agent.say({ kind: "drain", on: true }, { term: 4 });
  const actions = agent.connect();
  expect(actions.map((action) => action.action === "publish" && action.what)).toEqual(["status", "hello"]);
  expect(published(actions, "status")).toEqual([{ st: "on", ep: agent.epoch, cn: 1 }]);
  expect(published(actions, "hello")).toMatchObject([
    {
      v: 1,
      epoch: agent.epoch,
      connection: 1,
      mono: agent.mono,
      highestTerm: 4,
      highestAck: 0,
      firstUnackedSeq: 1,
      newestSeq: 0,
      versions: [1],
      draining: true,
      inventory: { part: 1, of: 1, items: [] },
    },
  ]);
});

test("the hello is repeated, 2 s doubling to 30 s, until the sync of this epoch and connection (rule 13)", () => {
  const agent = new TestAgent();
  agent.connect();
  const began = agent.mono;
  const at: number[] = [];
  while (agent.mono < began + 125_000) if (published(agent.pass(100), "hello").length > 0) at.push((agent.mono - began) / 1_000);
  expect(at).toEqual([2, 6, 14, 30, 60, 90, 120]);
  expect(notes(agent.say({ kind: "sync", epoch: agent.epoch, connection: 2 }))).toContain("syncOfOtherConnection");
  expect(notes(agent.say({ kind: "sync", epoch: "journal00001.9.nonceOTHER00", connection: 1 }))).toContain(
    "syncOfOtherConnection",
  );
  expect(published(agent.pass(30_000), "hello")).toHaveLength(1);
  agent.say({ kind: "sync", epoch: agent.epoch, connection: 1 });
  expect(published(agent.pass(120_000), "hello")).toEqual([]);
});

test("a new connection begins anew: hello at once, reports only after its own sync", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.put({ kind: "disconnected" });
  agent.connect();
  expect(reported(agent.say({ kind: "sync", epoch: agent.epoch, connection: 1 }))).toEqual([]);
  expect(reported(agent.say({ kind: "sync", epoch: agent.epoch, connection: 2 })).map((report) => report.seq)).toEqual([1, 2]);
});

test("the inventory: all that has not ended, and ends that no ack covers", () => {
  const agent = new TestAgent({ options: { capacity: { slots: 3, memoryMb: 0, cpus: 0 } } }).connectAndSync();
  agent.run("acked").ended("acked");
  agent.ack();
  agent.run("over").ended("over", { exit: { read: "code", code: 5 } });
  agent.run("runs").run("stops");
  agent.say({ kind: "stop", attempt: "stops", by: "ana", graceSeconds: 99 });
  agent.start("launches");
  agent.start("held");
  agent.say({ kind: "stop", attempt: "never-here", by: "bob", graceSeconds: 0 });
  agent.start("acked");
  agent.put({ kind: "disconnected" });
  const [hello] = published(agent.connect(), "hello");
  expect(hello?.inventory.items.map((item) => [item.attempt, item.state, item.end])).toEqual([
    ["runs", "running", undefined],
    ["stops", "stopping", undefined],
    ["launches", "accepted", undefined],
    ["held", "accepted", undefined],
    ["over", "ended", { how: "exited", code: 5 }],
    ["never-here", "ended", { how: "stopped", by: "bob" }],
  ]);
  expect(hello).toMatchObject({ highestAck: 3, firstUnackedSeq: 4 });
});

test("an acceptance is in the inventory from the moment it is decided (rule 7)", () => {
  const agent = new TestAgent().connectAndSync();
  agent.pass(1_000);
  const [hello] = published(agent.say([{ kind: "ask", hello: true }, startOf("a1")]), "hello");
  expect(hello?.inventory.items.map((item) => item.attempt)).toEqual(["a1"]);
});

test("ten thousand attempts travel in parts of one snapshot, each under 64 KiB", () => {
  const agent = new TestAgent({
    options: {
      capacity: { slots: 10_000, memoryMb: 0, cpus: 0 },
      labels: Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`label${i}`, "x".repeat(200)])),
    },
  }).connectAndSync();
  for (let i = 0; i < 20; i += 1) agent.say(Array.from({ length: 500 }, (_, k) => startOf(`attempt-${i}-${k}-0123456789abcdef`)));
  agent.put({ kind: "disconnected" });
  const hellos = published(agent.connect(), "hello");
  expect(hellos.length).toBeGreaterThan(10);
  expect(hellos.map((hello) => hello.inventory.part)).toEqual(hellos.map((_, at) => at + 1));
  expect(new Set(hellos.map((hello) => `${hello.inventory.of} ${hello.mono}`))).toEqual(
    new Set([`${hellos.length} ${agent.mono}`]),
  );
  expect(new Set(hellos.flatMap((hello) => hello.inventory.items.map((item) => item.attempt))).size).toBe(10_000);
});

test("a sync stops what shall not go on, and leaves alone what it names in neither list (rule 14)", () => {
  const agent = new TestAgent().connectAndSync().run("a1").run("a2");
  agent.put({ kind: "disconnected" });
  agent.connect();
  const actions = agent.say({
    kind: "sync",
    epoch: agent.epoch,
    connection: 2,
    keep: [],
    stop: ["a1", "unknown"],
    draining: true,
    settings: { version: 3, heartbeatMs: 5_000, startTtlMs: 17_500, workerLostMs: 37_500 },
    ack: { journal: "journal00001", seq: 2 },
  });
  expect(only(actions, "terminate")).toEqual([{ action: "terminate", attempt: "a1" }]);
  expect(agent.entry("a1")).toMatchObject({ state: "stopping", stopBy: "manager" });
  expect(agent.entry("a2")?.state).toBe("running");
  expect(agent.entry("unknown")).toBeUndefined();
  expect(agent.state).toMatchObject({ draining: true, highestAck: 2, settings: { version: 3 } });
});

test("a refused hello: leave, come back after workerLostMs, with a new journal only when this one is a copy (rule 1)", () => {
  const agent = new TestAgent();
  agent.connect();
  const refusal = { kind: "sync" as const, epoch: agent.epoch, connection: 1, refused: "duplicate worker id" };
  const actions = agent.say(refusal, { epoch: "journalOTHER.3.nonceOTHER00" });
  expect(only(actions, "disconnect")).toEqual([
    { action: "disconnect", why: "duplicate worker id", retryAfterMs: 75_000, newJournal: false },
  ]);
  expect(published(agent.pass(60_000), "hello")).toEqual([]);
  expect(only(agent.say({ ...refusal, newJournal: true }), "disconnect")).toMatchObject([{ newJournal: true }]);
  agent.put({ kind: "disconnected" });
  agent.connectAndSync();
  expect(agent.state.link.refused).toBeNull();
});

test("under another epoch nothing but the refusal of this very hello is read", () => {
  const agent = new TestAgent();
  agent.connect();
  const foreign = { epoch: "journalOTHER.3.nonceOTHER00" };
  agent.say([{ kind: "sync", epoch: agent.epoch, connection: 1, stop: [] }, startOf("a1")], foreign);
  expect(agent.state.link.synced).toBe(false);
  expect(only(agent.say({ kind: "sync", epoch: agent.epoch, connection: 9, refused: "no" }, foreign), "disconnect")).toEqual([]);
  expect(agent.journal.entries.size).toBe(0);
});

test("asked about what it knows it reports anew; about what it does not know it shows its inventory (rule 7)", () => {
  const agent = new TestAgent().connectAndSync().run("a1").run("a2");
  agent.ended("a2");
  agent.ack();
  agent.pass(startTtlMs);
  const actions = agent.say({ kind: "ask", attempts: ["a1", "a2", "unknown"] });
  expect(reported(actions).map((report) => [report.attempt, report.kind])).toEqual([
    ["a1", "running"],
    ["a2", "end"],
  ]);
  expect(published(actions, "hello")).toMatchObject([{ mono: agent.mono, inventory: { items: [{ attempt: "a1" }] } }]);
  // That is no answer to give forever: a start that still comes is judged like any other.
  expect(launched(agent.start("unknown"))).toEqual(["unknown"]);
});

test("a flood of questions is answered with one hello at once and one later", () => {
  const agent = new TestAgent().connectAndSync();
  agent.pass(1_000);
  const seen = Array.from({ length: 50 }, () => published(agent.say({ kind: "ask", hello: true }), "hello").length);
  expect(seen).toEqual([1, ...Array.from({ length: 49 }, () => 0)]);
  expect(published(agent.pass(5_000), "hello")).toHaveLength(1);
});

test("what an agent wrote that no leader heard of does not make its journal a later one (rule 1)", () => {
  const seqAtStart = (agent: TestAgent) => published(agent.connect(), "hello")[0]?.seqAtStart;
  const first = new TestAgent().connectAndSync().run("a1");
  const known = first.state.nextSeq - 1;
  // It says at its start what became of a1, to nobody, and is killed: the next one knows no more of what was applied.
  const second = first.restart();
  second.put({ kind: "recovered", found: [{ attempt: "a1", found: "rebooted" }] });
  expect(second.state.nextSeq - 1).toBeGreaterThan(known);
  const third = second.restart();
  expect(seqAtStart(third)).toBe(known);
  const fourth = third.restart();
  expect(seqAtStart(fourth)).toBe(known);
  // A leader took its hello: what it reports from here on is applied, and the next one has it.
  fourth.say({ kind: "sync", epoch: fourth.epoch, connection: 1 });
  const fifth = fourth.restart();
  expect(seqAtStart(fifth)).toBe(second.state.nextSeq - 1);
});
