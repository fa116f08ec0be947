import type { Clients } from "./clients.ts";
import type { SimManager } from "./manager.ts";
import type { Network } from "./network.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { SimWorker } from "./worker.ts";
import type { Witness, Witnessed } from "./witness.ts";

const faults = [
  "agent",
  "agentAtStep",
  "cut",
  "cut",
  "reboot",
  "manager",
  "managerAtCommit",
  "broker",
  "suspend",
  "suspend",
  "suspend",
  "drain",
  "managerPause",
  "managerPause",
] as readonly Fault[];
type Fault =
  | "agent"
  | "agentAtStep"
  | "cut"
  | "reboot"
  | "manager"
  | "managerAtCommit"
  | "broker"
  | "suspend"
  | "drain"
  | "managerPause";
/** How long a woken host may go on with what was lost: a watchdog's tick, the grace, another tick and a moment. */
const overlapMs = 2_000 + 1_000 + 2_000 + 500;

export interface FaultEnds {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly witness: Witness;
  readonly network: Network;
  readonly manager: SimManager;
  readonly workers: readonly SimWorker[];
  readonly clients: Clients;
}

/** What goes wrong, and how it heals. */
export class Faults {
  readonly #ends: FaultEnds;
  made = 0;

  constructor(ends: FaultEnds) {
    this.#ends = ends;
    ends.witness.excused = (sleeper) => this.#excused(sleeper);
  }

  plan(untilMs: number): void {
    const count = this.#ends.chance.between(20, 30);
    for (let i = 0; i < count; i += 1) this.#ends.schedule.after(this.#ends.chance.between(1_000, untilMs), () => this.#fault());
  }

  #fault(): void {
    this.made += 1;
    const worker = this.#ends.chance.pick(this.#ends.workers);
    const awayMs = this.#ends.chance.pick([10, 500, 3_000, 12_000]);
    switch (this.#ends.chance.pick(faults)) {
      case "suspend":
        this.#suspend(worker, this.#ends.chance.pick([2_000, 3_000, 8_000, 20_000]));
        return;
      case "drain":
        this.#ends.clients.drain(worker.id, awayMs);
        return;
      case "managerPause":
        this.#pauseManager(this.#ends.chance.between(1_000, 15_000));
        return;
      case "agent":
        worker.die();
        this.#backLater(worker, awayMs);
        return;
      case "agentAtStep":
        worker.dieAt = this.#ends.chance.pick(["beforeJournal", "afterJournal"]);
        this.#backLater(worker, awayMs + 2_000);
        return;
      case "cut":
        worker.cut();
        this.#backLater(worker, awayMs);
        return;
      case "reboot":
        worker.reboot();
        this.#backLater(worker, awayMs);
        return;
      case "manager":
        this.#ends.manager.die();
        this.#managerLater(awayMs);
        return;
      case "managerAtCommit":
        this.#ends.manager.dieAt = this.#ends.chance.pick(["beforeCommit", "afterCommit"]);
        this.#managerLater(awayMs + 1_500);
        return;
      case "broker":
        for (const each of this.#ends.workers) {
          each.cut();
          this.#backLater(each, this.#ends.chance.between(0, 3_000));
        }
        return;
    }
  }

  /** Meanwhile workers come and go: their hellos wait with all else for one turn. */
  #pauseManager(forMs: number): void {
    const { manager, schedule, workers } = this.#ends;
    manager.pause(forMs);
    for (const worker of workers) {
      schedule.after(forMs / 3, () => worker.cut());
      this.#backLater(worker, forMs / 2);
    }
  }

  /** The broker misses a host that sleeps for long, or does not. */
  #suspend(worker: SimWorker, forMs: number): void {
    worker.host.suspend(forMs);
    if (!this.#ends.chance.happens(0.5)) return;
    this.#ends.schedule.after(forMs / 2, () => worker.cut());
    this.#backLater(worker, forMs);
  }

  /** Rule 8: with `retry` a host that slept may overlap for a tick of its watchdog after it wakes. It must be over then. */
  #excused(sleeper: Witnessed): boolean {
    const host = this.#ends.workers.find(({ id }) => id === sleeper.worker)?.host;
    if (!host || !this.#ends.clients.retriesLoss(sleeper.run)) return false;
    const { nowMs } = this.#ends.schedule;
    const { fromMs, toMs } = host.lastSleep;
    const slept = toMs - fromMs >= 8_000 && sleeper.fromMs <= toMs + 40 && nowMs < toMs + overlapMs;
    if (!slept) return false;
    const untilMs = toMs + overlapMs;
    this.#ends.schedule.after(untilMs - nowMs, () => {
      if (sleeper.toMs === null && host.lastSleep.toMs === toMs)
        this.#ends.witness.violated(
          `${sleeper.attempt} on ${sleeper.worker}, which slept until ${toMs}, still runs beside another`,
        );
    });
    return true;
  }

  #backLater(worker: SimWorker, delayMs: number): void {
    this.#ends.schedule.after(delayMs, () =>
      worker.host.awake(() => {
        worker.dieAt = undefined;
        if (!worker.up) worker.start();
        worker.connect();
      }),
    );
  }

  #managerLater(delayMs: number): void {
    this.#ends.schedule.after(delayMs, async () => {
      this.#ends.manager.dieAt = undefined;
      if (!this.#ends.manager.up) await this.#ends.manager.start();
    });
  }

  heal(): void {
    this.#ends.network.weather = { loss: 0, repeat: 0, minDelayMs: 1, maxDelayMs: 10 };
    this.#managerLater(0);
    for (const worker of this.#ends.workers) this.#backLater(worker, 0);
  }
}
