/** An attempt's end, and what it means for its run. */
import { boundedSentence, endSentence, stoppedByFence, type End } from "../../../schema/end.ts";
import { terminalStateOf } from "../../../schema/run.ts";
import type { AttemptUpdate, RunUpdate } from "../changes.ts";
import { giveBack, placeInSets } from "../queue/capacity.ts";
import { armAvoid, armRest } from "../due.ts";
import { endRun, requeue } from "./runs.ts";
import { mayRetry, retriesLoss, retryRun } from "./retry.ts";
import type { AttemptCell, RunCell, WorkerCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";
import { settleDrain } from "../fleet/drain.ts";

/** What a report told beside the end itself. */
export interface EndDetails {
  readonly attempt?: AttemptUpdate;
  readonly run?: RunUpdate;
  /** The worker itself said it; false when the core concluded it. */
  readonly reported: boolean;
}

/** Refusals in a row after which a worker is left alone for a while. */
const refusalsBeforeRest = 3;
const restFirstMs = 1_000;
const restMaxMs = 60_000;
const holdFirstMs = 250;
const holdMaxMs = 30_000;
const avoidMs = 5_000;

/** Writes an attempt's end, takes it from its worker, and decides its run. */
export function endAttempt(turn: Turn, attempt: AttemptCell, end: End, details: EndDetails): void {
  const before = attempt.row.state;
  closeAttempt(turn, attempt, end, details.attempt);
  if (attempt.orphan) {
    emit(turn, "lateEnd", { ...aboutAttempt(attempt), data: { end } });
    return;
  }
  const { run } = attempt;
  run.attempt = null;
  if (end.how === "refused" && (before === "running" || before === "stopping")) {
    // It ran, so it was a try, and placing it anew would run it twice.
    loseRun(turn, run, { how: "lost", why: `its worker says that it ran and that it refused it: ${end.why}` }, details.run);
    return;
  }
  if (end.how === "refused") {
    refuseRun(turn, attempt, end, details.reported);
    return;
  }
  attempt.worker.refusals = 0;
  decideRun(turn, run, end, details.run ?? {});
}

/**
 * The run's last word when its attempt's end is known and no report of it will come, which alone has the result. `why`: a clause.
 * Nothing for an end before which nothing ran.
 */
export function resultLost(run: RunCell, end: End, why: string): RunUpdate {
  if (end.how === "refused" || end.how === "failedToStart") return {};
  const message = boundedSentence(`Its result, if it wrote one, is lost: ${why}.`);
  return { progress: { percent: run.row.progress?.percent ?? null, message } };
}

/** An inventory told this end, and its report, which alone has the result, is waited for no more. `why`: a clause. */
export function endAsListed(turn: Turn, attempt: AttemptCell, end: End, why: string): void {
  endAttempt(turn, attempt, end, { run: resultLost(attempt.run, end, why), reported: true });
}

/** The attempt's row and memory only; its run is the caller's. */
export function closeAttempt(turn: Turn, attempt: AttemptCell, end: End, more: AttemptUpdate = {}): void {
  const { state } = turn;
  const set: AttemptUpdate = { endedAt: turn.now.wall, ...more, state: "ended", end };
  attempt.row = { ...attempt.row, ...set };
  attempt.timerMono = null;
  attempt.lossMono = null;
  turn.changes.push({ op: "updateAttempt", id: attempt.row.id, set });
  state.attempts.delete(attempt.row.id);
  state.batch.attempts.set(attempt.row.id, attempt.row);
  attempt.worker.attempts.delete(attempt.row.id);
  attempt.worker.changedSinceBeat = true;
  attempt.worker.digest = null;
  giveBack(state, attempt, turn.now.mono);
  emit(turn, "attemptEnded", { ...aboutAttempt(attempt), data: { end, number: attempt.row.number } });
  settleDrain(turn, attempt.worker);
}

function decideRun(turn: Turn, run: RunCell, end: End, set: RunUpdate): void {
  switch (end.how) {
    case "refused":
      return;
    case "lost":
      loseRun(turn, run, end, set);
      return;
    case "stopped":
      // Its own host stopped it because nobody had spoken to it: a loss, and proof that it is over (rule 8).
      if (end.by === stoppedByFence && retriesLoss(run)) retryRun(turn, run, end);
      else endRun(turn, run, "stopped", end, set);
      return;
    case "timedOut":
      if (mayRetry(run, "timedOut")) retryRun(turn, run, end);
      else endRun(turn, run, "timedOut", end, set);
      return;
    case "exited":
    case "signalled":
    case "failedToStart": {
      const state = terminalStateOf(end) ?? "failed";
      if (state === "failed" && mayRetry(run, "failed")) retryRun(turn, run, end);
      else endRun(turn, run, state, end, set);
      return;
    }
  }
}

/** The run's attempt is lost and over: another one, or the run's end. */
export function loseRun(turn: Turn, run: RunCell, end: End, set: RunUpdate = {}, leastMs = 0): void {
  if (retriesLoss(run)) retryRun(turn, run, end, leastMs);
  else endRun(turn, run, "lost", end, set);
}

/** It never ran and never will: placed again without counting a try (rule 2), or stopped if somebody asked for that. */
function refuseRun(turn: Turn, attempt: AttemptCell, end: End, reported: boolean): void {
  const { run, worker } = attempt;
  const tries = Math.max(0, run.row.tries - 1);
  if (run.row.stop) {
    endRun(turn, run, "stopped", { how: "stopped", by: run.row.stop.by }, { tries });
    return;
  }
  run.refusals += 1;
  turn.changes.push({ op: "updateRun", id: run.row.id, set: { tries } });
  run.row = { ...run.row, tries };
  const holdMs = Math.min(holdMaxMs, holdFirstMs * 2 ** Math.min(20, run.refusals - 1));
  // What died with an agent's earlier life says nothing of the present one's will.
  if (reported && attempt.row.epoch === worker.row.epoch) avoidWorker(turn, run, worker, holdMs, endSentence(end));
  requeue(turn, run, holdMs, `${worker.row.id} ${endSentence(end)}`);
}

/** The worker is not asked again at once, and after several refusals by nobody: a full disk must not burn the whole queue. */
function avoidWorker(turn: Turn, run: RunCell, worker: WorkerCell, holdMs: number, why: string): void {
  const until = turn.now.mono + holdMs + avoidMs;
  run.avoid ??= new Map();
  run.avoid.set(worker.row.id, until);
  armAvoid(turn.state, run, until);
  // What was on its way already when it began to rest says nothing more: thirty starts that became stale together are one refusal.
  if (worker.restMono !== null) return;
  worker.refusals += 1;
  if (worker.refusals < refusalsBeforeRest) return;
  const restMs = Math.min(restMaxMs, restFirstMs * 2 ** Math.min(20, worker.refusals - refusalsBeforeRest));
  worker.restWhy = why;
  armRest(turn.state, worker, turn.now.mono + restMs);
  placeInSets(turn.state, worker);
}

export function aboutAttempt(attempt: AttemptCell): {
  readonly taskId: string;
  readonly runId: string;
  readonly attemptId: string;
  readonly workerId: string;
} {
  const { row } = attempt;
  return { taskId: row.taskId, runId: row.runId, attemptId: row.id, workerId: row.workerId };
}
