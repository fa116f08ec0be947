import { afterEach, describe, expect, test } from "vitest";
import type { AgentAction, AgentInput, AgentStep } from "../../worker/agent/types.ts";
import type { JournalWrite } from "../../worker/agent/records.ts";
import { JournalFull } from "../../worker/journal.ts";
import { Shell } from "../../worker/shell.ts";
import { silentLog } from "../../schema/kit/log.ts";
import { workerLimits } from "../../schema/limits.ts";

const epoch = "aaaaaaaaaaaa.1.bbbbbbbbbbbb";
const shells: Shell[] = [];

afterEach(async () => {
  for (const shell of shells.splice(0)) await shell.stop();
});

/** A shell around a core that writes one row and wants one note for each input but ticks. `trace` is what happened, in order. */
function rig() {
  const rigged = {
    trace: [] as string[],
    steps: [] as AgentInput[],
    writes: [] as JournalWrite[],
    full: false,
    room: true,
    mono: 10_000,
    nextDue: null as number | null,
    onStep: undefined as ((input: AgentInput) => AgentStep) | undefined,
    shell: undefined as unknown as Shell,
  };
  const act = (action: AgentAction): void => {
    rigged.trace.push(action.action === "note" ? `note ${action.what}` : action.action);
  };
  rigged.shell = new Shell({
    core: {
      step(input) {
        rigged.steps.push(input);
        if (rigged.onStep) return rigged.onStep(input);
        if (input.kind === "tick" || input.kind === "room") return { journal: [], actions: [] };
        return {
          journal: [{ write: "acked", seq: rigged.steps.length }],
          actions: [
            { action: "note", what: input.kind },
            { action: "settled", attempt: "a" },
          ],
        };
      },
      nextDue: () => rigged.nextDue,
    },
    journal: {
      write(writes) {
        if (rigged.full) throw new JournalFull("no room");
        rigged.trace.push(`write ${writes.length}`);
        rigged.writes.push(...writes);
      },
      durable: () => ({ meta: { highestTerm: 0, nextSeq: 1 }, entry: () => undefined }),
      get room() {
        return rigged.room;
      },
    },
    act,
    measure: () => ({ load: { cpu: 0, memoryMb: 1 }, spoolBytes: 7 }),
    clock: { now: () => ({ mono: rigged.mono, wall: 0 }) },
    log: silentLog(),
  });
  shells.push(rigged.shell);
  return rigged;
}

const commands = (...items: readonly unknown[]): Uint8Array =>
  Buffer.from(JSON.stringify({ v: 1, term: 1, asOf: { epoch, mono: 1 }, items }));
const start = {
  kind: "start",
  attempt: "a",
  run: "r",
  number: 1,
  task: "t",
  version: 1,
  driver: "exec",
  env: {},
  timeoutSeconds: null,
  killGraceSeconds: 1,
  onLost: "wait",
  requires: { slots: 1, memoryMb: 0, cpus: 0 },
  limits: { logStreamBytes: 1, resultBytes: 1 },
  trace: "",
  ttlMs: 1,
};

describe("a round", () => {
  test("steps everything that waits, writes once, and acts only after that, in order", () => {
    const { shell, trace, steps } = rig();
    shell.put({ kind: "disconnected" });
    shell.offer(commands({ kind: "drain", on: true }));
    shell.put({ kind: "leave", stopRuns: false });
    shell.once();
    expect(steps.map((input) => input.kind)).toEqual(["tick", "disconnected", "commands", "leave"]);
    expect(trace).toEqual(["write 3", "note disconnected", "settled", "note commands", "settled", "note leave", "settled"]);
  });

  test("ticks first, once a second or when the core is due, with what was measured", () => {
    const one = rig();
    one.shell.once();
    expect(one.steps).toEqual([{ kind: "tick", load: { cpu: 0, memoryMb: 1 }, spoolBytes: 7 }]);
    one.mono += 999;
    one.shell.once();
    expect(one.steps).toHaveLength(1);
    one.nextDue = one.mono;
    one.shell.once();
    expect(one.steps).toHaveLength(2);
    one.nextDue = null;
    one.mono += 1_000;
    one.shell.put({ kind: "disconnected" });
    one.shell.once();
    expect(one.steps.slice(2).map((input) => input.kind)).toEqual(["tick", "disconnected"]);
  });

  test("nothing of a message is read in the network's turn", () => {
    const { shell, steps } = rig();
    shell.offer(Buffer.from("rubbish"));
    expect(shell.counts).toEqual({});
    shell.once();
    expect(shell.counts).toEqual({ "unreadable message": 1 });
    expect(steps.map((input) => input.kind)).toEqual(["tick"]);
  });

  test("counts what it sets aside, and the readable rest goes on", () => {
    const { shell, steps } = rig();
    shell.offer(Buffer.from(JSON.stringify({ v: 9 })));
    shell.offer(commands({ kind: "fly" }, { kind: "drain", on: true }));
    shell.once();
    expect(shell.counts).toEqual({ "future version": 1, "unreadable item": 1 });
    expect(steps.at(-1)).toMatchObject({ kind: "commands", message: { items: [{ kind: "drain", on: true }] } });
  });

  test("what exceeds the inbox is dropped and counted; events of the host never are", () => {
    const { shell, steps } = rig();
    for (let sent = 0; sent < workerLimits.inboxMessages + 5; sent += 1) shell.offer(commands());
    for (let ended = 0; ended < 2_000; ended += 1) shell.put({ kind: "disconnected" });
    for (let round = 0; round < 10; round += 1) shell.once();
    expect(shell.counts).toEqual({ "dropped: inbox full": 5 });
    expect(steps.filter((input) => input.kind === "disconnected")).toHaveLength(2_000);
    expect(steps.filter((input) => input.kind === "commands")).toHaveLength(workerLimits.inboxMessages);
  });
});

describe("a full journal", () => {
  test("holds actions back until their writes are durable, in order, and loses none", () => {
    const one = rig();
    one.full = true;
    one.shell.put({ kind: "disconnected" });
    one.shell.once();
    one.shell.put({ kind: "leave", stopRuns: false });
    one.shell.once();
    expect(one.shell.journalFull).toBe("no room");
    expect(one.trace.filter((line) => line === "settled")).toEqual([]);
    one.full = false;
    one.trace.length = 0;
    one.shell.once();
    expect(one.shell.journalFull).toBeNull();
    expect(one.trace).toEqual(["write 2", "settled", "settled"]);
    expect(one.writes).toHaveLength(2);
  });

  test("passes over starts, which come again, and hears everything else", () => {
    const one = rig();
    one.full = true;
    one.shell.put({ kind: "disconnected" });
    one.shell.once();
    one.shell.offer(commands(start, { kind: "drain", on: true }));
    one.shell.once();
    expect(one.steps.at(-1)).toMatchObject({ kind: "commands", message: { items: [{ kind: "drain" }] } });
    expect(one.shell.counts).toEqual({ "dropped: journal full": 1 });
    one.full = false;
    one.shell.once();
    one.shell.offer(commands(start));
    one.shell.once();
    expect(one.steps.at(-1)).toMatchObject({ kind: "commands", message: { items: [{ kind: "start" }] } });
  });

  test("heartbeats go out, and processes can be stopped, but no stop overtakes its own launch", () => {
    const one = rig();
    one.full = true;
    const launch = {
      action: "launch",
      order: { attempt: "new" },
      deadlines: { timeoutMono: null, fenceMono: null, graceMs: 1 },
    } as unknown as AgentAction;
    const heartbeat = { action: "publish", what: "heartbeat", message: {} } as unknown as AgentAction;
    const reports = { action: "publish", what: "reports", message: { items: [{ seq: 1 }] } } as unknown as AgentAction;
    one.onStep = (input) =>
      input.kind === "leave"
        ? {
            journal: [{ write: "acked", seq: 1 }],
            actions: [
              launch,
              heartbeat,
              reports,
              { action: "terminate", attempt: "old" },
              { action: "terminate", attempt: "new" },
            ],
          }
        : { journal: [], actions: [] };
    one.shell.put({ kind: "leave", stopRuns: false });
    one.shell.once();
    expect(one.trace).toEqual(["publish", "terminate"]);
    one.full = false;
    one.shell.once();
    expect(one.trace).toEqual(["publish", "terminate", "write 1", "launch", "publish", "terminate"]);
  });

  test("what can wait is acted on at once, and written with the next that cannot, or after a second", () => {
    const one = rig();
    one.shell.once();
    one.onStep = (input) => {
      if (input.kind === "tick") return { journal: [], actions: [] };
      const canWait = input.kind === "disconnected";
      const seq = canWait ? 1 : 2;
      return {
        journal: [{ write: "acked", seq }],
        actions: [{ action: "settled", attempt: "a" }],
        ...(canWait ? { canWait } : {}),
      };
    };
    one.shell.put({ kind: "disconnected" });
    one.shell.once();
    expect(one.trace).toEqual(["settled"]);
    one.shell.put({ kind: "connected", connection: 1 });
    one.shell.once();
    expect(one.trace).toEqual(["settled", "write 2", "settled"]);
    expect(one.writes).toEqual([
      { write: "acked", seq: 1 },
      { write: "acked", seq: 2 },
    ]);
    one.shell.put({ kind: "disconnected" });
    one.shell.once();
    one.mono += 1_000;
    one.shell.once();
    expect(one.trace.slice(3)).toEqual(["settled", "write 1"]);
  });

  test("the core is told when the reserve is gone and when it is back", () => {
    const one = rig();
    one.room = false;
    one.shell.once();
    one.shell.once();
    one.room = true;
    one.shell.once();
    expect(one.steps.filter((input) => input.kind === "room")).toEqual([
      { kind: "room", room: false },
      { kind: "room", room: true },
    ]);
  });

  test("any other failure of the journal ends the loop: whoever goes on would act on what is not durable", async () => {
    const one = rig();
    one.onStep = () => ({ journal: [{ write: "acked", seq: 1 }], actions: [] });
    Object.defineProperty(one, "full", {
      get: () => {
        throw new Error("disk I/O error");
      },
    });
    one.shell.start();
    await expect(one.shell.failed).resolves.toEqual(new Error("disk I/O error"));
    shells.pop();
  });
});

describe("the loop", () => {
  test("takes what is put without being asked, and tells when it was handled", async () => {
    const { shell, trace } = rig();
    shell.start();
    await shell.handled({ kind: "disconnected" });
    expect(trace).toEqual(["write 1", "note disconnected", "settled"]);
  });

  test("what arrives in one turn shares one write", async () => {
    const { shell, trace } = rig();
    shell.start();
    shell.put({ kind: "disconnected" });
    shell.put({ kind: "disconnected" });
    await shell.handled({ kind: "disconnected" });
    expect(trace[0]).toBe("write 3");
  });
});
