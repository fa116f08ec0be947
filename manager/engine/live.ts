/** What only a leader's memory knows of a pool, for whoever looks: this manager's API, or another manager's. */
import type { Now } from "../../schema/given.ts";
import { alarms, poolLive, reasonOf, workerLive } from "../control/view.ts";
import type { WorkerLive } from "../control/core.ts";
import type { PoolQuestion, PoolView } from "../peers/messages.ts";
import type { PoolEngine } from "./engine.ts";

/** Undefined while the engine does not lead. */
export function poolView(
  engine: Pick<PoolEngine, "lead" | "trouble"> | undefined,
  { runs, workers }: PoolQuestion,
  now: Now,
): PoolView | undefined {
  const { lead, trouble } = engine ?? {};
  if (!lead) return undefined;
  const live: Record<string, WorkerLive> = {};
  for (const id of workers) {
    const one = workerLive(lead.state, id, now);
    if (one) live[id] = one;
  }
  return {
    term: lead.term,
    reasons: Object.fromEntries(runs.map((run) => [run.id, reasonOf(lead.state, run, now)])),
    workers: live,
    alarms: alarms(lead.state, now),
    held: poolLive(lead.state),
    trouble: trouble ? { sentence: trouble.sentence, sinceWall: trouble.sinceWall } : null,
  };
}
