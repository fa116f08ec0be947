import { afterEach, describe, expect, test } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import { processClock } from "../../../schema/kit/clock.ts";
import { systemDice } from "../../../schema/kit/random.ts";
import { timing } from "../../../schema/limits.ts";
import { ProblemError, type ProblemCode } from "../../../schema/problem.ts";
import { taskInput } from "../../../schema/task.ts";
import type { Request } from "../../../manager/control/inputs.ts";
import type { Outcome } from "../../../manager/control/outputs.ts";
import type { EventRecord } from "../../../manager/control/records.ts";
import roundRobin from "../../../manager/control/placement/round-robin.ts";
import { PoolEngine } from "../../../manager/engine/engine.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { StoreError, type Batch, type CommitResult, type Store } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";

type Fault = (batch: Batch, commit: () => Promise<CommitResult>) => Promise<CommitResult>;

interface Rig {
  readonly engine: PoolEngine;
  readonly store: Store;
  readonly events: EventRecord[];
  readonly sent: { workerId: string; items: readonly { kind: string }[] }[];
  /** What a commit meets; null: nothing. */
  fault: Fault | null;
}

const open: Rig[] = [];
afterEach(async () => {
  for (const rig of open.splice(0)) {
    rig.fault = null;
    await rig.engine.stop();
  }
});

async function makeRig(): Promise<Rig> {
  const memory = openMemoryStore();
  const rig = { events: [], sent: [], fault: null } as unknown as { -readonly [K in keyof Rig]: Rig[K] };
  rig.store = new Proxy(memory, {
    get: (target, name) => {
      if (name === "commit")
        return (batch: Batch) => (rig.fault ? rig.fault(batch, () => target.commit(batch)) : target.commit(batch));
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  rig.engine = new PoolEngine({
    store: rig.store,
    clock: processClock,
    dice: systemDice,
    log: silentLog(),
    holder: "test",
    options: {
      pool: "default",
      timing: { ...timing },
      limits: { queueWindow: 100, waitingRuns: 1_000, prefetch: 2, taskCache: 10, logStreamBytes: 1_000 },
      placement: roundRobin(),
      sign: () => "signature",
    },
    timing: { leaseRenewMs: 20, leaseStillMs: 40, tickMs: 20, answerWithinMs: 10_000 },
    send: (workerId, _term, command) => rig.sent.push({ workerId, items: command.items }),
    onEvents: (events) => rig.events.push(...events),
  });
  open.push(rig);
  rig.engine.start();
  await until("the engine to lead", () => rig.engine.lead);
  return rig;
}

function createTask(name: string): Request {
  const definition = taskInput.parse({ name, run: { driver: "exec", program: "/bin/true" } });
  return { kind: "createTask", id: `id-${name}`, store: { definition, body: null, script: null }, by: "tester", byReason: null };
}

async function problemOf(outcome: Promise<Outcome> | (() => Promise<Outcome>)): Promise<ProblemCode> {
  try {
    await (typeof outcome === "function" ? outcome() : outcome);
  } catch (error) {
    if (error instanceof ProblemError) return error.problem.code;
    throw error;
  }
  throw new Error("no problem came");
}

describe("promise 1: what is answered is durable", () => {
  test("an answer and its events wait for the commit", async () => {
    const rig = await makeRig();
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let reached: () => void = () => undefined;
    const committing = new Promise<void>((resolve) => (reached = resolve));
    rig.fault = async (_batch, commit) => {
      reached();
      await gate;
      return await commit();
    };
    let answered = false;
    const outcome = rig.engine.ask(createTask("a")).then((each) => {
      answered = true;
      return each;
    });
    await committing;
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    expect(rig.events).toEqual([]);
    letGo();
    expect(await outcome).toMatchObject({ kind: "task", created: true });
    expect(rig.events.map((event) => event.kind)).toContain("taskCreated");
    expect(await rig.store.task("id-a")).not.toBeNull();
  });

  test("many requests that wait share one commit", async () => {
    const rig = await makeRig();
    const sizes: number[] = [];
    rig.fault = async (batch, commit) => {
      sizes.push(batch.changes.filter((change) => change.op === "insertTask").length);
      return await commit();
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => rig.engine.ask(createTask(`t${i}`))));
    expect(Math.max(...sizes)).toBe(50);
  });
});

describe("rule 19 and 20: a database in trouble", () => {
  test("the batch is tried until it holds, and meanwhile the door is closed", async () => {
    const rig = await makeRig();
    let away = true;
    let tries = 0;
    rig.fault = async (_batch, commit) => {
      tries += 1;
      if (away) throw new StoreError("transient", true, "the database is away");
      return await commit();
    };
    const held = rig.engine.ask(createTask("held"));
    await until("the trouble to show", () => rig.engine.trouble);
    expect(await problemOf(async () => await rig.engine.ask(createTask("late")))).toBe("not-taken");
    away = false;
    expect(await held).toMatchObject({ kind: "task" });
    expect(tries).toBeGreaterThan(1);
    await until("the door to be open again", () => rig.engine.trouble === undefined);
    expect(await rig.engine.ask(createTask("late"))).toMatchObject({ kind: "task" });
  });

  test("a commit that lands and answers with an error counts once", async () => {
    const rig = await makeRig();
    let lost = false;
    rig.fault = async (batch, commit) => {
      const result = await commit();
      if (lost || batch.changes.length === 0) return result;
      lost = true;
      throw new StoreError("transient", false, "the connection was lost");
    };
    expect(await rig.engine.ask(createTask("once"))).toMatchObject({ kind: "task", created: true });
    expect((await rig.store.tasks({ limit: 10, cursor: null })).items).toHaveLength(1);
  });

  test("one row that cannot be takes none of its neighbours with it", async () => {
    const rig = await makeRig();
    rig.fault = async (batch, commit) => {
      const poisoned = batch.changes.some((change) => change.op === "insertTask" && change.row.name === "poison");
      if (poisoned) throw new StoreError("permanent", true, "a value is too long for its column");
      return await commit();
    };
    const names = ["a", "b", "poison", "c", "d"];
    const outcomes = await Promise.allSettled(names.map((name) => rig.engine.ask(createTask(name))));
    expect(outcomes.map((each) => each.status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(await problemOf(async () => await rig.engine.ask(createTask("poison")))).toBe("internal");
    expect(await rig.engine.ask(createTask("after"))).toMatchObject({ kind: "task" });
    expect((await rig.store.tasks({ limit: 10, cursor: null })).items.map((task) => task.name).toSorted()).toEqual([
      "a",
      "after",
      "b",
      "c",
      "d",
    ]);
  });

  test("a message that cannot be stored is set aside, whole, and the pool goes on", async () => {
    const rig = await makeRig();
    rig.fault = async (batch, commit) => {
      if (batch.changes.some((change) => change.op === "insertWorker"))
        throw new StoreError("permanent", true, "a value is too long for its column");
      return await commit();
    };
    rig.engine.post(
      {
        kind: "hello",
        workerId: "w1",
        message: {
          v: 1,
          epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB",
          connection: 1,
          mono: 1_000,
          facts: {
            os: "linux",
            osVersion: "",
            arch: "x64",
            hostname: "h",
            cpus: 1,
            memoryMb: 1,
            interpreters: {},
            drivers: ["exec"],
            agentVersion: "1",
            nodeVersion: "",
            bootId: "b",
          },
          labels: {},
          capacity: { slots: 1, memoryMb: 1, cpus: 1 },
          highestTerm: 0,
          highestAck: 0,
          firstUnackedSeq: 1,
          newestSeq: 0,
          versions: [1],
          survives: true,
          http: false,
          draining: false,
          inventory: { part: 1, of: 1, items: [] },
        },
      },
      500,
    );
    const [row] = await until("something to be set aside", async () => {
      const rows = await rig.store.setAside(10);
      return rows.length > 0 ? rows : undefined;
    });
    expect(row).toMatchObject({ source: "hello", pool: "default" });
    expect(JSON.parse(row?.raw ?? "")).toMatchObject({ kind: "hello", workerId: "w1" });
    expect(await rig.engine.ask(createTask("after"))).toMatchObject({ kind: "task" });
  });
});

test("rule 18: who loses the term throws its state away, tells who waits, and leads again only by taking the next term", async () => {
  const rig = await makeRig();
  const firstTerm = rig.engine.lead?.term ?? 0;
  rig.fault = async (_batch, commit) => {
    rig.fault = null;
    await rig.store.takeLease("default", "somebody else", await rig.store.readLease("default"), 0);
    return await commit();
  };
  expect(await problemOf(rig.engine.ask(createTask("lost")))).toBe("outcome-unknown");
  expect(await rig.store.task("id-lost")).toBeNull();
  const term = await until("it to lead again", () =>
    rig.engine.lead && rig.engine.lead.term > firstTerm ? rig.engine.lead.term : undefined,
  );
  expect(term).toBe(firstTerm + 2);
  expect(await rig.engine.ask(createTask("lost"))).toMatchObject({ kind: "task", created: true });
});
