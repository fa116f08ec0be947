import fc from "fast-check";
import { expect, test } from "vitest";
import { nextDue } from "../../../worker/agent/agent.ts";
import type { AgentAction, Found } from "../../../worker/agent/types.ts";
import { MemoryJournal } from "./memory-journal.ts";
import { only, reported, startOf, TestAgent } from "./kit.ts";

const ids = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"] as const;
const id = fc.constantFrom(...ids);

const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("start" as const),
      id,
      ageMs: fc.constantFrom(0, 0, 0, 20_000, 34_999, 35_000, -5),
      slots: fc.constantFrom(1, 1, 2, 3),
      retry: fc.boolean(),
      timeoutSeconds: fc.constantFrom(null, 30),
      body: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("stop" as const), id, graceSeconds: fc.constantFrom(0, 5, 100) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constantFrom("signal" as const, "ask" as const, "bodyFetched" as const, "bodyFailed" as const),
      id,
    }),
  },
  { weight: 6, arbitrary: fc.record({ what: fc.constant("host" as const), id, sort: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("ack" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(0, 10, 1_000, 12_000, 40_000) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("jump" as const), ms: fc.constantFrom(18_000, 200_000) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom("connect" as const, "sync" as const, "disconnect" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant("restart" as const),
      reboot: fc.boolean(),
      fates: fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
    }),
  },
);
type Happening = typeof happening extends fc.Arbitrary<infer H> ? H : never;

const process = (pid: number) => ({ bootId: "boot-1", pid, startTicks: 1 });

/** The host: which attempts were launched and what became of them. */
class World {
  agent = new TestAgent({ journal: new MemoryJournal() });
  readonly launches: string[] = [];
  readonly processes = new Map<string, "launched" | "alive" | "gone">();
  readonly ends = new Map<string, string>();
  echo = this.agent.mono;

  constructor() {
    this.agent.recover();
  }

  take(actions: readonly AgentAction[]): void {
    for (const { order } of only(actions, "launch")) {
      this.launches.push(order.attempt);
      this.processes.set(order.attempt, "launched");
    }
    for (const action of [...only(actions, "kill"), ...only(actions, "terminate"), ...only(actions, "signal")]) {
      expect(this.processes.has(action.attempt), `${action.action} of what was never launched`).toBe(true);
    }
    for (const report of reported(actions)) if (report.end) this.seeEnd(report.attempt, JSON.stringify(report.end));
    this.check();
  }

  seeEnd(attempt: string, end: string): void {
    const before = this.ends.get(attempt) ?? end;
    expect(end, `the end of ${attempt} changed`).toBe(before);
    this.ends.set(attempt, end);
  }

  check(): void {
    const { state, journal } = this.agent;
    expect(new Set(this.launches).size, "launched twice").toBe(this.launches.length);
    const seqs = [...journal.reports.keys()];
    expect(seqs, "a gap in seq").toEqual(seqs.map((_, at) => (seqs[0] ?? 0) + at));
    expect(state.queue.items.slice(state.queue.first).map((item) => item.seq)).toEqual(seqs);
    const remembered = [
      ...[...state.live.values()].map((one) => one.entry),
      ...[...state.ended.values()].map((one) => one.entry),
    ];
    expect(new Map(remembered.map((entry) => [entry.attempt, entry])), "journal and memory differ").toEqual(journal.entries);
    let slots = 0;
    for (const { entry } of state.live.values()) if (entry.state !== "accepted") slots += entry.order?.requires.slots ?? 0;
    expect(slots).toBe(state.used.slots);
    expect(slots).toBeLessThanOrEqual(2);
    for (const entry of journal.entries.values()) if (entry.end) this.seeEnd(entry.attempt, JSON.stringify(entry.end));
  }

  do(one: Happening): void {
    const { agent } = this;
    switch (one.what) {
      case "start": {
        const { retry, timeoutSeconds, slots, body } = one;
        const start = startOf(one.id, {
          timeoutSeconds,
          requires: { slots, memoryMb: 0, cpus: 0 },
          ...(retry ? { onLost: "retry", lostAfterSeconds: 60 } : {}),
        });
        if (body) {
          delete start.spec;
          start.body = { path: "/b", sha256: "0".repeat(64), size: 1, ticket: "t" };
        }
        return this.take(agent.say(start, { mono: Math.max(0, agent.mono - one.ageMs) }));
      }
      case "stop":
        return this.take(agent.say({ kind: "stop", attempt: one.id, by: "ana", graceSeconds: one.graceSeconds }));
      case "signal":
        return this.take(agent.say({ kind: "signal", attempt: one.id, signal: "SIGHUP" }));
      case "ask":
        return this.take(agent.say({ kind: "ask", attempts: [one.id] }));
      case "bodyFetched":
        return this.take(agent.put({ kind: "bodyFetched", attempt: one.id, spec: { driver: "exec" }, env: {} }));
      case "bodyFailed":
        return this.take(agent.put({ kind: "bodyFailed", attempt: one.id, why: "404" }));
      case "host":
        return this.host(one.id, one.sort);
      case "ack":
        return this.take(agent.ack(Math.floor((agent.state.nextSeq - 1) * one.part)));
      case "pass":
        this.take(agent.pass(one.ms));
        this.take(agent.tick());
        expect(nextDue(agent.state), "a tick in the past").toBeGreaterThan(agent.mono);
        return;
      case "jump":
        return this.take(agent.jump(one.ms));
      case "connect":
        return this.take(agent.connect());
      case "sync":
        return this.take(
          agent.connection === 0 ? [] : agent.say({ kind: "sync", epoch: agent.epoch, connection: agent.connection }),
        );
      case "disconnect":
        return this.take(agent.put({ kind: "disconnected" }));
      case "restart":
        return this.restart(one.reboot, one.fates);
    }
  }

  host(attempt: string, sort: number): void {
    const { agent } = this;
    switch (this.processes.get(attempt)) {
      case "launched":
        if (sort === 0) {
          this.processes.set(attempt, "gone");
          this.take(agent.put({ kind: "notStarted", attempt, how: "failedToStart", why: "no such program" }));
        } else {
          this.processes.set(attempt, "alive");
          this.take(agent.started(attempt));
        }
        return;
      case "alive":
        this.processes.set(attempt, "gone");
        this.take(agent.ended(attempt, { exit: { read: "code", code: sort }, termBefore: sort === 1 }));
        return;
      case "gone":
        // The host says it twice.
        this.take(agent.ended(attempt, { exit: { read: "code", code: 99 } }));
        return;
      case undefined:
        return;
    }
  }

  restart(reboot: boolean, fates: readonly number[]): void {
    const found: Found[] = [];
    for (const [attempt, was] of this.processes) {
      if (was === "gone") continue;
      const fate = reboot ? 9 : (fates[ids.indexOf(attempt as (typeof ids)[number])] ?? 0);
      const facts = { process: process(7), startedWall: 5 };
      if (fate === 9) found.push({ attempt, found: "rebooted" });
      else if (fate === 0) found.push({ attempt, found: "alive", ...facts });
      else if (fate === 1 && was === "launched") found.push({ attempt, found: "neverStarted" });
      else
        found.push({
          attempt,
          found: "exited",
          exit: { read: "code", code: 0 },
          result: { kind: "none" },
          ...facts,
          timedOut: false,
          fenced: false,
        });
      this.processes.set(attempt, fate === 0 ? "alive" : "gone");
    }
    this.agent = this.agent.restart();
    this.take(this.agent.recover(found));
  }

  /** Whatever happened: the host finishes what lives, the manager acknowledges, and nothing is left over. */
  settle(): void {
    const { agent } = this;
    if (agent.connection === 0) agent.connect();
    this.take(agent.connect());
    this.take(agent.say({ kind: "sync", epoch: agent.epoch, connection: agent.connection }));
    this.take(agent.pass(40_000));
    for (let round = 0; round < 3; round += 1) for (const attempt of ids) this.host(attempt, 2);
    this.take(agent.pass(40_000));
    for (const attempt of ids) {
      this.host(attempt, 2);
      this.host(attempt, 2);
    }
    this.take(agent.pass(40_000));
    this.take(agent.ack());
    expect([...agent.state.live.keys()], "still live").toEqual([]);
    expect([...agent.journal.reports.keys()], "still unacknowledged").toEqual([]);
    expect(agent.state.used).toEqual({ slots: 0, memoryMb: 0, cpus: 0 });
    expect([agent.state.held.size, agent.state.fenced.size, agent.state.answers.size]).toEqual([0, 0, 0]);
  }
}

test("whatever happens in whatever order: at most one launch, one end, no gap in seq, no room lost, nothing left over", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      const world = new World();
      for (const one of happenings) world.do(one);
      world.settle();
    }),
    { numRuns: 400 },
  );
});
