/** Rules 5 and 6: what this worker may conclude from echoes of its own clock. */
import { extendFences } from "./fence.ts";
import type { AgentState } from "./state.ts";
import { note, type Turn } from "./turn.ts";

/**
 * Looks whether this agent was away: a gap in its own steps (suspend, pause, a stopped process) of more than half a startTtl.
 * Until an echo of a later instant comes, it obeys no start and extends no fence (rule 6): what lies in its sockets was
 * confirmed before the gap, and the world may have moved on.
 */
export function noticeGap(turn: Turn): void {
  const { state, now } = turn;
  const gapMs = now.mono - state.lastStepMono;
  state.lastStepMono = now.mono;
  if (gapMs >= 0 && gapMs <= state.settings.startTtlMs / 2) return;
  state.gapMono = now.mono;
  note(turn, "gap", { detail: `no step for ${Math.round(gapMs)} ms: nothing is started before the manager has heard of this` });
}

/** A leader echoed `mono`, an instant of this epoch that it has confirmed. Only a later one moves anything. */
export function heard(turn: Turn, mono: number): void {
  const { state, now } = turn;
  if (mono > now.mono) {
    note(turn, "futureEcho", { detail: `the manager echoed ${mono} ms, this host's clock is at ${now.mono} ms` });
    return;
  }
  if (state.asOfMono !== null && mono <= state.asOfMono) return;
  state.asOfMono = mono;
  if (mono >= state.gapMono) extendFences(turn);
}

/** Whether a start that carries this echo may be obeyed at `mono`: fresh, and confirmed since the last gap. */
export function mayStart(
  state: AgentState,
  mono: number,
  start: { readonly freshFromMono: number; readonly ttlMs: number },
): boolean {
  const ageMs = mono - start.freshFromMono;
  return ageMs >= 0 && ageMs < start.ttlMs && start.freshFromMono >= state.gapMono;
}
