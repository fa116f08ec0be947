/**
 * A whole fleet in one process under one seed: the real cores of manager and worker, no process, socket, timer or database.
 * Faults come for a while, then everything heals; afterwards every run must have ended, once, and truthfully.
 */
import type { Commands } from "../../schema/messages.ts";
import { Clients, giveUpAfterSeconds } from "./clients.ts";
import { Faults } from "./faults.ts";
import { Judge } from "./judge.ts";
import { SimManager } from "./manager.ts";
import { Network } from "./network.ts";
import type { Product } from "./product.ts";
import { Schedule } from "./schedule.ts";
import { Chance } from "./seeded.ts";
import { SimWorker } from "./worker.ts";
import { Witness } from "./witness.ts";

export interface WorldResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly runs: number;
  readonly processes: number;
  readonly faults: number;
  readonly endedAtMs: number;
  /** Hash of everything that became durable, in order: the same seed gives the same one. */
  readonly trace: number;
  readonly states: Readonly<Record<string, number>>;
}

const faultsUntilMs = 40_000;
const worldEndsMs = faultsUntilMs + giveUpAfterSeconds * 1_000 + 180_000;

export class World {
  readonly #seed: number;
  readonly #schedule = new Schedule();
  readonly #witness = new Witness();
  readonly #network: Network;
  readonly #manager: SimManager;
  readonly #workers: readonly SimWorker[];
  readonly #clients: Clients;
  readonly #judge: Judge;
  readonly #faults: Faults;

  constructor(seed: number, product: Product) {
    this.#seed = seed;
    const chance = new Chance(seed);
    const schedule = this.#schedule;
    const witness = this.#witness;
    const { loss, repeat } = { loss: chance.next() * 0.3, repeat: chance.next() * 0.3 };
    const network = new Network(schedule, chance, { loss, repeat, minDelayMs: 1, maxDelayMs: chance.pick([20, 400, 2_000]) });
    const common = { product, schedule, chance, broken: (error: unknown) => this.#broken(error) };
    const manager = new SimManager({
      ...common,
      publish: (workerId, envelope) => this.#down(workerId, envelope),
      committed: (changes) => this.#judge.committed(changes),
    });
    const workers = Array.from(
      { length: chance.between(3, 5) },
      (_, i) =>
        new SimWorker(`w${i + 1}`, {
          ...common,
          witness,
          publish: (worker, kind, message) => network.send(message, (copy) => manager.receive(worker.id, kind, copy)),
        }),
    );
    this.#network = network;
    this.#manager = manager;
    this.#workers = workers;
    this.#clients = new Clients({ product, schedule, chance, witness, manager });
    this.#judge = new Judge(this.#clients, witness);
    this.#faults = new Faults({ schedule, chance, witness, network, manager, workers, clients: this.#clients });
  }

  async play(): Promise<WorldResult> {
    await this.#manager.start();
    for (const worker of this.#workers) {
      worker.start();
      worker.connect();
    }
    this.#clients.makeTasks();
    this.#schedule.after(500, () => this.#clients.makeClients(faultsUntilMs - 8_000));
    this.#faults.plan(faultsUntilMs - 2_000);
    this.#schedule.after(faultsUntilMs, () => this.#faults.heal());
    while ((await this.#schedule.step(worldEndsMs)) && this.#witness.violations.length === 0) {
      if (this.#schedule.nowMs > faultsUntilMs && this.#judge.allEnded()) break;
    }
    if (this.#witness.violations.length === 0) await this.#judge.judge(this.#manager.store);
    return this.#result();
  }

  #down(workerId: string, envelope: Commands): void {
    const worker = this.#workers.find((each) => each.id === workerId);
    if (!worker) return;
    const { session } = worker;
    this.#network.send(envelope, (copy) => worker.receive(session, copy));
  }

  #broken(error: unknown): void {
    this.#witness.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #result(): WorldResult {
    const states: Record<string, number> = {};
    for (const id of this.#clients.asked.keys()) {
      const state = this.#judge.terminal.get(id) ?? "never stored";
      states[state] = (states[state] ?? 0) + 1;
    }
    return {
      seed: this.#seed,
      violations: this.#witness.violations,
      runs: this.#clients.asked.size,
      processes: this.#witness.processes.length,
      faults: this.#faults.made,
      endedAtMs: this.#schedule.nowMs,
      trace: this.#judge.trace >>> 0,
      states,
    };
  }
}
