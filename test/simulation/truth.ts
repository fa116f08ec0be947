import type { End } from "../../schema/end.ts";
import { isTerminal } from "../../schema/run.ts";
import type { AttemptRecord, RunRecord } from "../../manager/control/records.ts";
import type { Asked } from "./clients.ts";
import type { Witness, Witnessed } from "./witness.ts";

/** What the store says of a run. `excuses`: true clauses, with each of which its result may be said to be lost. */
interface ToldOf {
  readonly run: RunRecord;
  readonly attempts: readonly AttemptRecord[];
  readonly excuses: readonly string[];
}

/** What of it did not happen; nothing when it is all true (I6). */
export function untruth({ run, attempts, excuses }: ToldOf, asked: Asked, witness: Witness): string[] {
  const lines: string[] = [];
  if (!isTerminal(run.state)) return lines;
  if (run.state === "succeeded" && asked.code !== 0) lines.push(`run ${run.id} succeeded, but its script exits ${asked.code}`);
  if (run.state === "stopped" && !asked.stopped && !asked.shutDown(run))
    lines.push(`run ${run.id} is stopped and nobody asked for it`);
  // One that is deaf to TERM may come to its own end, with a result, and count as stopped all the same.
  const written = witness.ofRun(run.id).some(({ endedBy }) => endedBy === "itself")
    ? JSON.stringify(`${run.id} ${asked.result}`)
    : null;
  const saidLost = excuses.some((why) => run.progress?.message === `Its result, if it wrote one, is lost: ${why}.`);
  const mayLack =
    run.end?.how !== "exited" || saidLost || witness.ofRun(run.id).some(({ worker }) => witness.putBack.has(worker));
  if (run.result !== written && !(mayLack && run.result === null))
    lines.push(`run ${run.id} with ${JSON.stringify(run.end)} has the result ${run.result}`);
  const failures = attempts.filter(({ end }) => end !== null && isFailure(end)).length;
  if (failures > asked.tries)
    lines.push(`run ${run.id} failed ${failures} times, and its task gives it ${asked.tries} tries (I3)`);
  for (const attempt of attempts) {
    const process = witness.ofAttempt(attempt.id);
    if (process && outlived(process, asked.timeoutMs))
      lines.push(`attempt ${attempt.id} ran on ${process.worker} long after its timeout of ${asked.timeoutMs} ms`);
    const why = untrueEnd(attempt.end, witness.ofAttempt(attempt.id), asked);
    if (why !== undefined) lines.push(`attempt ${attempt.id} ended ${JSON.stringify(attempt.end)}, but ${why}`);
  }
  const live = attempts.filter((attempt) => attempt.state !== "ended");
  for (const attempt of live)
    lines.push(`run ${run.id} is ${run.state}, and its attempt ${attempt.id} is ${attempt.state} for ever`);
  return lines;
}

function isFailure(end: End): boolean {
  if (end.how === "exited") return end.code !== 0;
  return end.how === "signalled" || end.how === "failedToStart" || end.how === "timedOut";
}

/** Where the agent is dead its watchdog ends it: a tick later, within a tick, after the grace, within a tick. */
const outlivesMs = 2_000 + 2_000 + 1_000 + 2_000 + 500;

function outlived({ fromMs, toMs, sleptMs }: Witnessed, timeoutMs: number): boolean {
  return timeoutMs > 0 && (toMs ?? 0) - fromMs - sleptMs > timeoutMs + outlivesMs;
}

/** What an end says that did not happen; undefined when it is true. `lost` says nothing. */
function untrueEnd(end: End | null, process: Witnessed | undefined, asked: Asked): string | undefined {
  switch (end?.how) {
    case "refused":
      return process && `it ran from ${process.fromMs}`;
    case "failedToStart":
      if (asked.exec) return "its program could be executed";
      return process && `it ran from ${process.fromMs}`;
    case "exited":
      return process?.endedBy === "itself" && process.code === end.code ? undefined : `it was ended by ${process?.endedBy}`;
    case "signalled":
      if (!asked.signalled) return "nobody sent it a signal";
      return process?.endedBy === "signal" ? undefined : `it was ended by ${process?.endedBy}`;
    case "timedOut":
      if (!process?.termed && process?.endedBy !== "kill") return "nobody ended it";
      return (process.toMs ?? 0) - process.launchedMs >= asked.timeoutMs ? undefined : "its time was not up";
    case "stopped":
      return process && !process.termed && process.endedBy !== "kill" ? `it was ended by ${process.endedBy}` : undefined;
    case "lost":
    case undefined:
      return undefined;
  }
}
