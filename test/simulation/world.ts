/**
 * A whole fleet in one process under one seed: the real engine of two managers and the real core and shell of each worker, no
 * process, socket, timer or database. Faults come for a while, then everything heals; afterwards every run must have ended,
 * once, and truthfully.
 */
import type { Batch } from "../../manager/store/store.ts";
import type { LedgerEntry } from "../../worker/agent/records.ts";
import type { RunRecord } from "../../manager/control/records.ts";
import { leftOnWorker, leftOver, passedBounds } from "./bounds.ts";
import { SimBroker } from "./broker.ts";
import { Clients } from "./clients.ts";
import { Counters, type Happening } from "./counters.ts";
import { SimDatabase } from "./database.ts";
import { Faults } from "./faults.ts";
import { Judge, mayFollow } from "./judge.ts";
import { wrongOutput } from "./judge-output.ts";
import { SimManager } from "./manager.ts";
import { Overlaps } from "./overlaps.ts";
import { faultsUntilMs, managerIds, planOf, stillMs, worldEndsAtLastMs, worldEndsMs, type Plan } from "./plan.ts";
import type { Product } from "./product.ts";
import { Rules } from "./rules.ts";
import { Schedule } from "./schedule.ts";
import { Chance } from "./seeded.ts";
import { Trace } from "./trace.ts";
import { Sticks } from "./sticks.ts";
import { SimWorker } from "./worker.ts";
import { Witness } from "./witness.ts";

export interface WorldResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly runs: number;
  readonly processes: number;
  readonly faults: number;
  readonly endedAtMs: number;
  /** Hash of everything that became durable, was published or ran, in order: the same seed gives the same one. */
  readonly trace: string;
  readonly states: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<Happening, number>>;
  /** What happened, line by line, when it was asked for. */
  readonly story: readonly string[];
}

const readEveryMs = 5_000;
/** By then whoever was to be removed is. */
const keepsOneMs = faultsUntilMs + 20_000;
/** By then whatever ran on a worker that is gone for good is decided. */
const goneDecidedMs = 565_000;
/** Promise 7. */
const stuckAfterMs = 60_000;

export class World {
  readonly #plan: Plan;
  readonly #product: Product;
  readonly #schedule = new Schedule();
  readonly #witness = new Witness();
  readonly #counters = new Counters();
  readonly #trace: Trace;
  readonly #chance: Chance;
  readonly #database: SimDatabase;
  readonly #broker: SimBroker;
  readonly #managers: readonly SimManager[];
  readonly #workers: SimWorker[];
  readonly #clients: Clients;
  readonly #judge: Judge;
  readonly #rules: Rules;
  readonly #faults: Faults;
  readonly #sticks: Sticks;
  /** Run → as a reader last saw it. */
  readonly #read = new Map<string, RunRecord>();
  readonly #reading = new Set<string>();

  /** Plays the seed's own plan, or one that is given. `story`: tell what happens, line by line. */
  constructor(seed: number | Plan, product: Product, options: { readonly story?: boolean } = {}) {
    const plan = typeof seed === "number" ? planOf(seed) : seed;
    this.#plan = plan;
    this.#product = product;
    this.#chance = new Chance(plan.seed);
    const schedule = this.#schedule;
    this.#trace = new Trace(() => schedule.nowMs, options.story === true);
    const common = { product, plan, schedule, trace: this.#trace, counters: this.#counters, witness: this.#witness };
    const ofPart = (label: string) => ({
      ...common,
      chance: this.#chance.of(label),
      broken: (error: unknown) => this.#broken(error),
    });
    this.#broker = new SimBroker(ofPart("broker"));
    this.#database = new SimDatabase({
      ...ofPart("database"),
      committed: (asker, batch) => {
        this.#judge.committed(asker, batch);
        this.#rules.committed(asker);
      },
      refuses: unstorable,
      tookLease: (asker) => this.#rules.tookLease(asker),
    });
    this.#rules = new Rules({
      ...common,
      workerRow: (id) => this.#judge.workerRow(id),
      workerStates: () => this.#judge.workerStates(),
    });
    const ends = { broker: this.#broker, database: this.#database, rules: this.#rules };
    this.#managers = managerIds.map((id) => new SimManager(id, { ...ofPart(id), ...ends }));
    this.#workers = plan.workers.map(({ id, slots }) => this.#makeWorker(id, slots, id));
    this.#clients = new Clients({ ...ofPart("clients"), managers: this.#managers });
    this.#judge = new Judge({ ...common, clients: this.#clients, journalHas: (...asked) => this.#journalHas(...asked) });
    this.#witness.excused = new Overlaps({ ...common, clients: this.#clients, workers: this.#workers }).excused;
    this.#sticks = new Sticks({ ...common, workers: this.#workers });
    this.#faults = new Faults({
      ...ofPart("faults"),
      ...ends,
      managers: this.#managers,
      workers: this.#workers,
      clients: this.#clients,
      another: (id) => this.#another(id),
    });
  }

  #makeWorker(id: string, slots: number, hostName: string): SimWorker {
    const ends = {
      product: this.#product,
      plan: this.#plan,
      schedule: this.#schedule,
      trace: this.#trace,
      counters: this.#counters,
    };
    return new SimWorker(
      { id, slots, hostName },
      { ...ends, witness: this.#witness, chance: this.#chance, broker: this.#broker, broken: (error) => this.#broken(error) },
    );
  }

  #journalHas(ofJournal: string, attempt: string, which?: (entry: LedgerEntry) => boolean): boolean {
    return this.#workers.some(
      ({ host, journal }) =>
        journal.meta.journal === ofJournal && !this.#witness.putBack.has(host.name) && journal.has(attempt, which),
    );
  }

  #another(id: string): SimWorker {
    const worker = this.#makeWorker(id, 2, `${id}b${this.#workers.length}`);
    this.#workers.push(worker);
    return worker;
  }

  async play(): Promise<WorldResult> {
    for (const manager of this.#managers) manager.start();
    for (const worker of this.#workers) worker.start();
    this.#clients.makeTasks();
    this.#faults.plan();
    this.#schedule.after(faultsUntilMs, () => this.#faults.heal());
    this.#schedule.after(keepsOneMs, () => this.#faults.keepOne((id) => this.#judge.workerRow(id)?.state === "removed"));
    this.#schedule.after(faultsUntilMs + stuckAfterMs, () => this.#lookForStuck());
    this.#schedule.after(goneDecidedMs, () => this.#faults.removeGone());
    this.#schedule.after(readEveryMs, () => this.#readOne());
    await this.#playUntil(worldEndsMs);
    // Some worlds have more work than time: they go on while it moves.
    for (let untilMs = worldEndsMs; this.#goesOn(untilMs); untilMs += 1_000) await this.#playUntil(untilMs + 1_000);
    if (this.#witness.violations.length === 0) await this.#judgeAll();
    return this.#result();
  }

  async #playUntil(untilMs: number): Promise<void> {
    while (this.#witness.violations.length === 0 && (await this.#schedule.step(untilMs)));
  }

  #goesOn(nowMs: number): boolean {
    if (this.#witness.violations.length > 0 || nowMs >= worldEndsAtLastMs) return false;
    return nowMs - this.#judge.movedMs < stillMs && this.#left().length > 0;
  }

  /** What would have to be over at the end, and is not. */
  #left(): string[] {
    const lines = this.#judge.stuck();
    for (const process of this.#witness.processes)
      if (process.toMs === null) lines.push(`${process.attempt} still runs on ${process.worker} at the end (I8)`);
    const leading = this.#managers.filter(({ engine }) => engine?.lead);
    if (leading.length !== 1) lines.push(`${leading.length} managers lead at the end`);
    const state = leading[0]?.engine?.lead?.state;
    if (state) lines.push(...leftOver(state));
    for (const { agent } of this.#workers) if (agent) lines.push(...leftOnWorker(agent));
    return lines;
  }

  /** A reader looks at a run, now through this manager, now through that; and who leads is noted on the way. */
  #readOne(): void {
    const leading = this.#managers.filter((manager) => manager.engine?.lead);
    if (leading.length > 1) this.#counters.happened("two managers took themselves for the leader at once");
    for (const manager of this.#managers) manager.noteLead();
    const agents = this.#workers.flatMap(({ agent }) => agent ?? []);
    for (const line of passedBounds(leading[0]?.engine?.lead?.state, agents)) this.#witness.violated(line);
    this.#sticks.look(this.#judge.runs, leading.length === 1 && leading[0]?.leadsWell ? leading[0].engine?.lead : undefined);
    const ids = this.#clients.acknowledged();
    const { nowMs } = this.#schedule;
    const id = ids[Math.floor(nowMs / readEveryMs) % Math.max(1, ids.length)];
    const manager = this.#managers[Math.floor(nowMs / readEveryMs) % this.#managers.length];
    // The next look at it only once the last one was answered: a slow answer is no news.
    if (id !== undefined && !this.#reading.has(id) && manager?.life) {
      this.#reading.add(id);
      manager.read(
        (store) => store.run(id),
        (found) => {
          this.#reading.delete(id);
          if (!found) return this.#witness.violated(`run ${id} was acknowledged, and a reader does not find it`);
          const before = this.#read.get(id);
          if (before && !mayFollow(before, found.run))
            this.#witness.violated(`a reader saw run ${id} ${before.state} and then ${found.run.state} (I17)`);
          this.#read.set(id, found.run);
        },
      );
    }
    this.#schedule.after(readEveryMs, () => this.#readOne());
  }

  /** A minute after everything healed: what has not ended has a live owner, or a sentence says what it waits for (promise 7). */
  #lookForStuck(): void {
    const manager = this.#managers.find(({ engine }) => engine?.lead);
    const lead = manager?.engine?.lead;
    if (!lead || !manager.life) return this.#witness.violated("nobody leads a minute after everything healed");
    for (const [id, { state }] of this.#judge.runs) {
      const run = lead.state.runs.get(id);
      if (!run) continue;
      const owner = run.attempt?.worker.row;
      const reason = this.#product.view.reasonOf(lead.state, { id, state }, manager.life.clock.now());
      const owned =
        (state === "running" || state === "starting" || state === "stopping") &&
        (owner?.state === "online" || owner?.state === "draining");
      if (!owned && reason === null)
        this.#witness.violated(`run ${id} is ${state} a minute after everything healed, and nobody can say why`);
      // One that never comes back, or whose id another has had, is waited for until the run is given up.
      const isGone = owner?.state === "lost" || this.#workers.some((worker) => worker.isGone && worker.id === owner?.id);
      if (state === "unreachable" && !isGone) this.#witness.violated(`run ${id} is unreachable a minute after everything healed`);
    }
  }

  async #judgeAll(): Promise<void> {
    for (const line of this.#left()) this.#witness.violated(line);
    await this.#judge.judge(this.#database.base);
    for (const line of await wrongOutput(this.#database.logs, this.#workers)) this.#witness.violated(line);
  }

  #broken(error: unknown): void {
    this.#witness.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #result(): WorldResult {
    const states: Record<string, number> = {};
    for (const { state } of this.#judge.runs.values()) states[state] = (states[state] ?? 0) + 1;
    return {
      seed: this.#plan.seed,
      violations: this.#witness.violations,
      runs: this.#judge.runs.size,
      processes: this.#witness.processes.length,
      faults: this.#faults.made,
      endedAtMs: this.#schedule.nowMs,
      trace: this.#trace.digest(),
      states,
      counts: this.#counters.counts,
      story: this.#trace.story,
    };
  }
}

/** Rows that this world's database refuses for good. */
function unstorable(batch: Batch): string | undefined {
  for (const change of batch.changes) {
    if (change.op === "insertRun" && change.row.params["mark"] === "unstorable")
      return `a row is against a constraint: run ${change.row.id}`;
    if (change.op === "updateRun" && change.set.result?.includes("unstorable") === true)
      return `a value is of the wrong type: the result of run ${change.id}`;
  }
  return undefined;
}
