/** An engine over a memory store whose commits and reads can be made to fail. */
import { onTestFinished } from "vitest";
import { silentLog, type Log } from "../../../schema/kit/log.ts";
import { processClock, type Timers } from "../../../schema/kit/clock.ts";
import { systemDice } from "../../../schema/kit/random.ts";
import { ProblemError, type ProblemCode } from "../../../schema/problem.ts";
import { taskInput } from "../../../schema/task.ts";
import type { Request } from "../../../manager/control/inputs.ts";
import type { Outcome } from "../../../manager/control/outputs.ts";
import type { EventRecord } from "../../../manager/control/records.ts";
import { PoolEngine } from "../../../manager/engine/engine.ts";
import type { EngineWatch } from "../../../manager/engine/watch.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import type { Batch, CommitResult, Store } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { newcomer } from "../../kit/hello.ts";
import { poolOptions } from "./engine-on.ts";

type Fault = (batch: Batch, commit: () => Promise<CommitResult>) => Promise<CommitResult>;

export interface Rig {
  readonly engine: PoolEngine;
  readonly store: Store;
  readonly events: EventRecord[];
  readonly sent: { workerId: string; items: readonly { kind: string }[] }[];
  /** What a commit meets; null: nothing. */
  fault: Fault | null;
  /** Above which term the engine took the lease, each time. */
  readonly takenAbove: number[];
  /** Thrown by every read of the core's while it is set. */
  readFault: Error | null;
}

/** How long a request of a rig waits for its answer. */
export const answerWithinMs = 60_000;

interface RigOptions {
  readonly log?: Log;
  readonly watch?: EngineWatch;
  readonly onEvents?: (events: readonly EventRecord[]) => void;
  readonly readFault?: Error;
  /** As on MariaDB, where a commit is what proves the lease. */
  readonly leaseIsRow?: boolean;
  /** Instead of this process's own. */
  readonly timers?: Timers;
  /** The test is about a loop that fails: elsewhere it fails the test. */
  readonly loopFails?: boolean;
}

export async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const rig = startRig(options);
  await until("the engine to lead", () => rig.engine.lead);
  return rig;
}

export function startRig(options: RigOptions = {}): Rig {
  const memory = openMemoryStore();
  const rig = { events: [], sent: [], takenAbove: [], fault: null, readFault: options.readFault ?? null } as unknown as {
    -readonly [K in keyof Rig]: Rig[K];
  };
  rig.store = new Proxy(memory, {
    get: (target, name) => {
      if (name === "leaseIsLock") return options.leaseIsRow !== true;
      if ((name === "load" || name === "loadLive") && rig.readFault) return async () => await Promise.reject(rig.readFault);
      if (name === "commit")
        return (batch: Batch) => (rig.fault ? rig.fault(batch, () => target.commit(batch)) : target.commit(batch));
      if (name === "takeLease")
        return (...args: Parameters<Store["takeLease"]>) => {
          if (args[1] === "test") rig.takenAbove.push(args[3]);
          return target.takeLease(...args);
        };
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  rig.engine = new PoolEngine({
    store: rig.store,
    clock: processClock,
    dice: systemDice,
    log: options.log ?? silentLog(),
    holder: "test",
    options: poolOptions(),
    timing: { leaseRenewMs: 20, leaseStillMs: 40, tickMs: 20, answerWithinMs },
    send: (workerId, _term, command) => rig.sent.push({ workerId, items: command.items }),
    onEvents: (events) => {
      rig.events.push(...events);
      options.onEvents?.(events);
    },
    ...(options.watch ? { watch: options.watch } : {}),
    ...(options.timers ? { timers: options.timers } : {}),
  });
  rig.engine.start();
  onTestFinished(async () => {
    rig.fault = null;
    rig.readFault = null;
    const stopped = rig.engine.stop();
    await (options.loopFails ? stopped.catch(() => undefined) : stopped);
  });
  return rig;
}

export function createTask(name: string): Request {
  const definition = taskInput.parse({ name, run: { driver: "exec", program: "/bin/true" } });
  return { kind: "createTask", id: `id-${name}`, store: { definition, body: null, script: null }, by: "tester", byReason: null };
}

export function hello(workerId: string): Parameters<PoolEngine["post"]>[0] {
  return {
    kind: "hello",
    workerId,
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
      ...newcomer,
    },
  };
}

export async function problemOf(outcome: Promise<Outcome> | (() => Promise<Outcome>)): Promise<ProblemCode> {
  try {
    await (typeof outcome === "function" ? outcome() : outcome);
  } catch (error) {
    if (error instanceof ProblemError) return error.problem.code;
    throw error;
  }
  throw new Error("no problem came");
}
