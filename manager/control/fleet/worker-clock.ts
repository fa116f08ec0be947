/** How far a worker's wall clock is from ours: shown to people, and nothing hangs on it (wall clocks decide nothing here). */
import type { AttemptCell } from "../state.ts";
import type { Turn } from "../turn.ts";

/** The worker's wall clock minus the manager's lies between these, ms. */
export interface ClockAhead {
  readonly least: number;
  readonly most: number;
}

/** Its agent says at which time of its own it made a report: after we sent the attempt, and before now. `at`: wall ms. */
export function seeClock(turn: Turn, attempt: AttemptCell, at: number): void {
  // Sent by another manager, by its clock.
  if (attempt.inherited) return;
  const { worker } = attempt;
  worker.clockAhead = narrowed(worker.clockAhead, { least: at - turn.now.wall, most: at - attempt.row.sentAt });
}

/** What both leave possible. A clock that was set in between, or drifted, leaves the newer alone. */
export function narrowed(known: ClockAhead | null, newer: ClockAhead): ClockAhead {
  if (!known) return newer;
  const both = { least: Math.max(known.least, newer.least), most: Math.min(known.most, newer.most) };
  return both.least <= both.most ? both : newer;
}
