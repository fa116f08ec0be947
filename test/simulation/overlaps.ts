import type { Clients } from "./clients.ts";
import type { Schedule } from "./schedule.ts";
import type { SimWorker } from "./worker.ts";
import type { Witness, Witnessed } from "./witness.ts";

/** How long a woken host may go on with what was lost: a watchdog's tick, the grace, another tick and a moment. */
const overlapMs = 2_000 + 1_000 + 2_000 + 500;

export interface OverlapsEnds {
  readonly schedule: Schedule;
  readonly witness: Witness;
  readonly clients: Clients;
  readonly workers: readonly SimWorker[];
}

/** Which overlaps of two attempts of a run the rules allow (rule 8), and for how long. */
export class Overlaps {
  readonly #ends: OverlapsEnds;

  constructor(ends: OverlapsEnds) {
    this.#ends = ends;
  }

  /** With `retry` a host that slept may overlap for a tick of its watchdog after it wakes; one that was paused, for as long as that. */
  readonly excused = (sleeper: Witnessed): boolean => {
    const { clients, workers, schedule } = this.#ends;
    const who = clients.whoOf(sleeper.run);
    if (clients.mayOverlap(who)) return true;
    const host = workers.find((worker) => worker.host.name === sleeper.worker)?.host;
    if (!host || !clients.retriesLoss(who)) return false;
    const { nowMs } = schedule;
    const { fromMs, toMs, frozen } = host.lastSleep;
    const untilMs = toMs + overlapMs + (frozen ? toMs - fromMs : 0);
    if (toMs === 0 || sleeper.fromMs > toMs + 40 || nowMs >= untilMs) return false;
    schedule.after(untilMs - nowMs, () => {
      if (sleeper.toMs === null && host.lastSleep.toMs === toMs)
        this.#ends.witness.violated(
          `${sleeper.attempt} on ${sleeper.worker}, which slept until ${toMs}, still runs beside another`,
        );
    });
    return true;
  };
}
