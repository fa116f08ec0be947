/** What a lost worker means for what it ran: wait, fail, or another attempt once the host itself must have stopped the first (rule 8). */
import type { End } from "../../../schema/end.ts";
import { timing as defaults } from "../../../schema/limits.ts";
import { armLoss } from "../due.ts";
import { closeAttempt, endAsListed, loseRun } from "./ends.ts";
import { endRun } from "./runs.ts";
import { heardSince, isHeld, type AttemptCell, type ControlState, type RunCell, type WorkerCell } from "../state.ts";
import type { Turn } from "../turn.ts";

/** Ticks of the host's watchdog that the fence may come late by, and one for the stop of a host that was suspended. */
const marginTicks = 2;

/** From the last confirmed heartbeat until the fence has stopped an attempt for certain; 0 unless its task asks for `retry`. */
export function fenceWaitMs(state: ControlState, run: RunCell): number {
  const definition = run.version?.definition;
  if (definition?.onLost !== "retry" || definition.attemptOverlap === "allow") return 0;
  return (definition.lostAfterSeconds + definition.killGraceSeconds) * 1_000 + marginTicks * state.options.timing.watchdogTickMs;
}

/** Why an attempt is called lost by us and not by its own host: its process may go on, so another attempt waits for the fence. */
export const unproven = {
  removed: "worker removed",
  missing: "its worker came back without it",
  otherJournal: "its worker came back with another journal",
} as const;

/** Whether this end of a run's newest attempt leaves it open whether the process still runs. A new leader cannot know since when. */
export function isUnproven(end: End | null): boolean {
  return end?.how === "lost" && Object.values(unproven).some((why) => why === end.why);
}

/** Its worker is lost: when the loss of each attempt is decided. */
export function armLosses(state: ControlState, worker: WorkerCell, nowMono: number): void {
  for (const attempt of worker.attempts.values()) if (!attempt.orphan) armLoss(state, attempt, lossAt(state, attempt, nowMono));
}

/** The worker is heard again. */
export function disarmLosses(worker: WorkerCell): void {
  for (const attempt of worker.attempts.values()) attempt.lossMono = null;
}

function lossAt(state: ControlState, attempt: AttemptCell, nowMono: number): number {
  const since = heardSince(state, attempt.worker);
  const definition = attempt.run.version?.definition;
  switch (definition?.onLost ?? "wait") {
    case "wait":
      return Math.max(nowMono, since + (definition?.giveUpAfterSeconds ?? defaults.giveUpAfterSeconds) * 1_000);
    case "fail":
      return nowMono;
    case "retry":
      return Math.max(nowMono, since + fenceWaitMs(state, attempt.run));
  }
}

/**
 * The time for it has come, and its worker is still lost. One that beat meanwhile without a hello was asked for it, and that echo
 * moved its fence; one that spoke while we were away ourselves was not heard: in both cases the wait is counted anew (rules 8, 10).
 * While the pool is held its ledger may yet have the true end (rule 28).
 */
export function decideLoss(turn: Turn, attempt: AttemptCell): void {
  const { state, now } = turn;
  if (attempt.orphan || attempt.worker.row.state !== "lost" || isHeld(state)) return;
  const dueMono = lossAt(state, attempt, now.mono);
  if (dueMono > now.mono) {
    armLoss(state, attempt, dueMono);
    return;
  }
  const { run } = attempt;
  const why = `nobody heard of worker ${attempt.row.workerId} any more`;
  if (attempt.listedEnd) {
    // It told the end before it fell silent: what has ended is not lost, and what has succeeded must not run again.
    endAsListed(turn, attempt, attempt.listedEnd, why);
    return;
  }
  if (run.version?.definition.onLost === "retry") {
    // Fenced by its own host: it is over, and another attempt cannot overlap it.
    run.attempt = null;
    closeAttempt(turn, attempt, { how: "lost", why });
    loseRun(turn, run, { how: "lost", why });
  } else {
    // The process may go on: the attempt stays open as an orphan, its late end is recognised.
    endRun(turn, run, "lost", { how: "lost", why });
  }
}

/** Its worker came back without it: over, as far as anybody will ever know. Another attempt still waits for the fence. */
export function loseMissing(turn: Turn, attempt: AttemptCell, why: (typeof unproven)["missing" | "otherJournal"]): void {
  const { run } = attempt;
  const end = { how: "lost" as const, why };
  closeAttempt(turn, attempt, end);
  if (attempt.orphan) return;
  run.attempt = null;
  loseRun(turn, run, end, {}, fenceWaitMs(turn.state, run));
}
