/** What follows a try: the next one, after a pause, or the run's end. */
import { endSentence, type End } from "../../../schema/end.ts";
import { requestLimits } from "../../../schema/limits.ts";
import type { RetryOn } from "../../../schema/run.ts";
import { hold, updateRun } from "./runs.ts";
import type { RunCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";

/** The longest pause between two tries. */
const backoffMaxMs = 86_400_000;

/** Whether its task wants another try after this kind of end. Somebody's stop ends it for good. */
export function mayRetry(run: RunCell, on: RetryOn): boolean {
  const retry = run.version?.definition.retry;
  return !run.row.stop && retry !== undefined && retry.on.includes(on) && run.row.tries < retry.attempts;
}

/** Whether a loss leads to another try: `onLost: retry`, without regard to `retry.attempts`, but bounded. */
export function retriesLoss(run: RunCell): boolean {
  return !run.row.stop && run.version?.definition.onLost === "retry" && run.row.tries < requestLimits.attemptsMax;
}

/** backoffSeconds, doubled for each further try. */
export function doubledBackoffMs(run: RunCell): number {
  const baseMs = (run.version?.definition.retry.backoffSeconds ?? 0) * 1_000;
  return Math.min(backoffMaxMs, baseMs * 2 ** Math.min(30, Math.max(0, run.row.tries - 1)));
}

/** The pause before the next try: up to a quarter more by chance. */
function backoffMs(turn: Turn, run: RunCell): number {
  const doubledMs = doubledBackoffMs(run);
  return Math.floor(doubledMs + turn.dice.below(Math.floor(doubledMs / 4) + 1));
}

/** The run waits for its next try, at least `leastMs` (a fence that must pass first, rule 8). */
export function retryRun(turn: Turn, run: RunCell, end: End, leastMs = 0): void {
  const delayMs = Math.max(leastMs, backoffMs(turn, run));
  updateRun(turn, run, { state: "retrying" });
  emit(turn, "runRetrying", { taskId: run.row.taskId, runId: run.row.id, data: { after: end, tries: run.row.tries, delayMs } });
  run.refusals = 0;
  hold(turn, run, delayMs, endSentence(end));
}
