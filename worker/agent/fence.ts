/** The fence of attempts whose task says `onLost: retry`: this host stops them when nobody has spoken to it for too long (rules 8, 9). */
import { timing } from "../../schema/limits.ts";
import { arm, deadlinesOf } from "./deadlines.ts";
import type { AgentState, Attempt } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Where the fence of an attempt stands, given the newest echo; null for all but `onLost: retry`. */
export function fenceOf(state: AgentState, attempt: Attempt): number | null {
  const order = attempt.entry.order;
  if (order?.onLost !== "retry" || order.lostAfterSeconds === undefined || state.asOfMono === null) return null;
  return state.asOfMono + order.lostAfterSeconds * 1_000;
}

/**
 * The newest echo has moved: so do the fences of all that is launched. A fence moves in steps of a twentieth of
 * `lostAfterSeconds` and at most `fenceStepMs`, so that a fleet of heartbeats does not become a fleet of file renames; it
 * may pass that much early, never late. One that was passed is not taken back.
 */
export function extendFences(turn: Turn): void {
  const { state } = turn;
  for (const id of state.fenced) {
    const attempt = state.live.get(id);
    const fence = attempt && fenceOf(state, attempt);
    if (!attempt || fence === null || fence === undefined || attempt.fenceSpent) continue;
    const lostAfterMs = fence - (state.asOfMono ?? 0);
    if (attempt.fenceMono !== null && fence - attempt.fenceMono < Math.min(timing.fenceStepMs, lostAfterMs / 20)) continue;
    attempt.fenceMono = fence;
    arm(state, attempt);
    turn.actions.push({ action: "deadlines", attempt: id, deadlines: deadlinesOf(attempt) });
  }
}
