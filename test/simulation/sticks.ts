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
  /** Run → looks at which its agent had not heard of its stop although it could have, and of whom. */
  readonly #unheard = new Map<string, { readonly term: number; readonly connection: number; looks: number }>();

  constructor(ends: SticksEnds) {
    this.#ends = ends;
  }

  /** Called every few seconds; no leader: nobody leads, or it has trouble of its own. */
  look(runs: ReadonlyMap<string, { readonly state: RunState }>, lead: Lead | undefined): void {
    if (this.#ends.plan.weather.loss > goodLoss) return;
    for (const [id, { state }] of runs) {
      const seen = state === "stopping" && lead ? this.#unheardBy(id, lead) : undefined;
      if (!seen) {
        this.#unheard.delete(id);
        continue;
      }
      const before = this.#unheard.get(id);
      const goesOn = before?.term === seen.term && before.connection === seen.connection;
      const looks = goesOn ? before.looks + 1 : 1;
      this.#unheard.set(id, { ...seen, looks });
      if (looks > patience)
        this.#ends.witness.violated(`run ${id} is to be stopped, and for ${looks} looks its agent has not heard of it (I9)`);
    }
  }

  #unheardBy(runId: string, lead: Lead): { readonly term: number; readonly connection: number } | undefined {
    const attempt = lead.state.runs.get(runId)?.attempt;
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
