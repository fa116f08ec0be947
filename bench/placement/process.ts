/** A pool's core alone, with a fleet of any size in memory: what it costs to place a run, without store, wire or HTTP. */
import type { ControlOptions } from "../../manager/control/core.ts";
import { createControl } from "../../manager/control/create.ts";
import type { Input, StartItem } from "../../manager/control/inputs.ts";
import { admit, needsOf } from "../../manager/control/needs.ts";
import type { Step } from "../../manager/control/outputs.ts";
import type { ControlState } from "../../manager/control/state.ts";
import { step } from "../../manager/control/step.ts";
import { loadPlacement } from "../../manager/placement.ts";
import { openMemoryStore } from "../../manager/store/memory.ts";
import type { Store } from "../../manager/store/store.ts";
import { systemDice } from "../../schema/kit/random.ts";
import { managerLimits, timing } from "../../schema/limits.ts";
import type { Report, StartItem as StartCommand } from "../../schema/messages.ts";
import { taskInput } from "../../schema/task.ts";
import { answer } from "../kit/answering.ts";
import { newcomer } from "../../test/kit/hello.ts";

export interface FleetAsk {
  readonly workers: number;
  /** As `MUSTER_PLACEMENT` names it. */
  readonly placement: string;
  /** A constraint of the task; workers have the label `zone`, z0 to z9 in turns. */
  readonly constraint?: string;
}

export interface PlacedAsk {
  readonly batches: number;
}

export interface Placed {
  /** CPU time of placing alone, and of the whole core's share of a run from its start to its end, microseconds. */
  readonly placeUs: number;
  readonly wholeUs: number;
}

const pool = "default";
const perBatch = 100;
const slots = 200;
/** One worker of each journal: the core tells them apart by it. */
const journalOf = (n: number): string => n.toString(36).padStart(12, "0");
const epochOf = (n: number): string => `${journalOf(n)}.1.${"n".repeat(12)}`;

class Fleet {
  readonly #state: ControlState;
  readonly #store: Store;
  readonly #seqs: number[];
  readonly #now = { mono: 1_000_000, wall: 1_700_000_000_000 };
  #taskId = "";
  #runs = 0;

  private constructor(state: ControlState, store: Store, workers: number) {
    this.#state = state;
    this.#store = store;
    this.#seqs = Array.from({ length: workers }, () => 0);
  }

  static async make({ workers, placement, constraint }: FleetAsk): Promise<Fleet> {
    const store = openMemoryStore();
    const lease = await store.takeLease(pool, "bench", await store.readLease(pool), 0);
    const options: ControlOptions = {
      pool,
      term: lease?.term ?? 1,
      timing,
      limits: { ...managerLimits, logStreamBytes: 1_000_000 },
      placement: (await loadPlacement(placement))(),
      sign: (text) => text.slice(0, 8),
    };
    const fleet = new Fleet(createControl(options, await store.loadLive(pool), { mono: 1_000_000, wall: 0 }), store, workers);
    for (let n = 0; n < workers; n += 1) await fleet.#step(fleet.#hello(n));
    const definition = taskInput.parse({
      name: "bench",
      run: { driver: "exec", program: "/bin/true" },
      constraints: constraint === undefined ? [] : [constraint],
    });
    fleet.#taskId = systemDice.id();
    const create = {
      kind: "createTask",
      id: fleet.#taskId,
      store: { definition, body: null, script: null },
      by: "bench",
      byReason: null,
    };
    const made = await fleet.#step({
      kind: "request",
      ticket: 1,
      request: create as Extract<Input, { kind: "request" }>["request"],
    });
    await store.commit({ pool, term: options.term, batch: 1, changes: made.changes });
    return fleet;
  }

  #hello(n: number): Input {
    return {
      kind: "hello",
      workerId: `w${n}`,
      message: {
        v: 1,
        epoch: epochOf(n),
        connection: 1,
        mono: 1,
        facts: {
          os: "linux",
          osVersion: "",
          arch: "x64",
          hostname: `w${n}`,
          cpus: 4,
          memoryMb: 8_192,
          interpreters: {},
          drivers: ["exec", "script"],
          agentVersion: "0.1.0",
          nodeVersion: "",
          bootId: "bench",
        },
        labels: { zone: `z${n % 10}` },
        capacity: { slots, memoryMb: 8_192, cpus: 4 },
        ...newcomer,
      },
    };
  }

  async #admit(input: Input): Promise<void> {
    for (let needs = needsOf(this.#state, input); needs.length > 0; needs = needsOf(this.#state, input))
      admit(this.#state, await this.#store.load(pool, needs));
  }

  async #step(input: Input): Promise<Step> {
    await this.#admit(input);
    return step(this.#state, input, { ...this.#now }, systemDice);
  }

  /** One batch: as many starts, all placed, all accepted and ended by their workers. Returns microseconds of CPU time. */
  async batch(): Promise<Placed> {
    this.#now.mono += 5;
    this.#now.wall += 5;
    const begun = process.cpuUsage();
    await this.#step({
      kind: "request",
      ticket: 1,
      request: { kind: "startRuns", items: Array.from({ length: perBatch }, () => this.#start()), by: "bench", byReason: null },
    });
    const beforePlace = process.cpuUsage();
    const { commands } = await this.#step({ kind: "place" });
    const placeUs = microseconds(process.cpuUsage(beforePlace));
    let ended = 0;
    for (const { workerId, items } of commands) {
      const starts = items.filter((item) => item.kind === "start");
      ended += starts.length;
      await this.#step(this.#reports(Number(workerId.slice(1)), starts));
    }
    await this.#step({ kind: "place" });
    if (ended !== perBatch) throw new Error(`${ended} of ${perBatch} starts were placed`);
    return { placeUs, wholeUs: microseconds(process.cpuUsage(begun)) };
  }

  #start(): StartItem {
    this.#runs += 1;
    const runId = `r${this.#runs}`;
    const common = { params: {}, workerId: null, labels: {}, idempotencyKey: null, bodyHash: "", mayExist: false };
    return { ...common, taskId: this.#taskId, runId, trace: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` };
  }

  #reports(n: number, starts: readonly StartCommand[]): Input {
    const items: Report[] = [];
    for (const { attempt } of starts) {
      const seq = (this.#seqs[n]! += 2);
      const { wall: at } = this.#now;
      items.push({ seq: seq - 1, attempt, start: 1, kind: "accepted", at });
      items.push({ seq, attempt, start: 1, kind: "end", at, end: { how: "exited", code: 0 } });
    }
    const message = { epoch: epochOf(n), connection: 1, mono: this.#now.mono, journal: journalOf(n), items, unreadable: [] };
    return { kind: "reports", workerId: `w${n}`, message };
  }
}

function microseconds({ user, system }: NodeJS.CpuUsage): number {
  return user + system;
}

let fleet: Fleet | undefined;

async function measure({ batches }: PlacedAsk): Promise<Placed> {
  if (!fleet) throw new Error("no fleet was made");
  let placeUs = 0;
  let wholeUs = 0;
  for (let n = 0; n < batches; n += 1) {
    const placed = await fleet.batch();
    placeUs += placed.placeUs;
    wholeUs += placed.wholeUs;
  }
  return { placeUs: placeUs / batches / perBatch, wholeUs: wholeUs / batches / perBatch };
}

answer({
  make: async (ask: FleetAsk) => {
    fleet = await Fleet.make(ask);
  },
  measure,
});
