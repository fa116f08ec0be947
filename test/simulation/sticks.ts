import type { AttemptCell } from "../../manager/control/state.ts";
import type { Lead } from "../../manager/engine/lead.ts";
import type { RunState } from "../../schema/run.ts";
import type { Plan } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import type { SimWorker } from "./worker.ts";
import type { Witness } from "./witness.ts";

/** So many looks in a row, 5 s apart: a stop is said again every 8 s at the latest, and a good wire does not lose five of them. */
const patience = 8;
const goodLoss = 0.1;

export interface SticksEnds {
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly witness: Witness;
  readonly workers: readonly SimWorker[];
}

/** A stop is said until it is heard (I9): while the leader and a worker can talk, no run is to be stopped without its agent's knowing. */
export class Sticks {
  readonly #ends: SticksEnds;
  /** What → looks at which its agent had not heard of its stop although it could have, and of whom. */
  readonly #unheard = new Map<string, { readonly term: number; readonly connection: number; looks: number }>();

  constructor(ends: SticksEnds) {
    this.#ends = ends;
  }

  /** Called every few seconds; no leader: nobody leads, or it has trouble of its own. */
  look(runs: ReadonlyMap<string, { readonly state: RunState }>, lead: Lead | undefined): void {
    if (this.#ends.plan.weather.loss > goodLoss) return;
    for (const [id, { state }] of runs)
      this.#note(
        `run ${id}`,
        state === "stopping" && lead ? this.#unheardBy(lead.state.runs.get(id)?.attempt ?? undefined, lead) : undefined,
      );
    // What goes on although its run is over is to be stopped as well (I8).
    for (const [id, attempt] of lead?.state.attempts ?? [])
      if (attempt.orphan && lead) this.#note(`attempt ${id}, whose run is over,`, this.#unheardBy(attempt, lead));
  }

  #note(what: string, seen: { readonly term: number; readonly connection: number } | undefined): void {
    if (!seen) {
      this.#unheard.delete(what);
      return;
    }
    const before = this.#unheard.get(what);
    const goesOn = before?.term === seen.term && before.connection === seen.connection;
    const looks = goesOn ? before.looks + 1 : 1;
    this.#unheard.set(what, { ...seen, looks });
    if (looks > patience)
      this.#ends.witness.violated(`${what} is to be stopped, and for ${looks} looks its agent has not heard of it (I9)`);
  }

  #unheardBy(attempt: AttemptCell | undefined, lead: Lead): { readonly term: number; readonly connection: number } | undefined {
    const { nowMs } = this.#ends.schedule;
    const worker = this.#ends.workers.find(
      ({ id, agent }) => agent?.options.epoch === attempt?.row.epoch && id === attempt?.row.workerId,
    );
    if (!attempt || !worker?.agent || !worker.line) return undefined;
    const { agent, line, host, journal } = worker;
    const isHeld = Math.max(line.upHeldUntilMs, line.downHeldUntilMs, host.lastSleep.toMs) >= nowMs - 5_000;
    const stoodStill = host.now().mono - agent.lastStepMono > 5_000;
    if (isHeld || stoodStill || journal.full !== "no" || !agent.link.synced) return undefined;
    const entry = agent.live.get(attempt.row.id)?.entry;
    if (!entry || entry.state === "stopping") return undefined;
    return { term: lead.term, connection: agent.link.connection };
  }
}
