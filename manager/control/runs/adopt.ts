/** The version of a run that was taken over has been read: what hangs on it can be said now. */
import { take } from "../queue/capacity.ts";
import { armRun } from "../due.ts";
import { armLosses, fenceWaitMs, isUnproven } from "./loss.ts";
import { doubledBackoffMs } from "./retry.ts";
import { versionKey, type ControlState, type RunCell } from "../state.ts";
import type { CompiledVersion } from "../versions.ts";

/** Gives the version to every run that lacks it. */
export function adoptVersion(state: ControlState, taskId: string, number: number, version: CompiledVersion | null): void {
  const key = versionKey(taskId, number);
  const runs = state.lacking.get(key);
  if (!runs) return;
  state.lacking.delete(key);
  for (const run of runs) {
    run.version = version;
    const { attempt } = run;
    if (attempt && version) {
      attempt.requires = version.definition.requires;
      take(state, attempt.worker, attempt.requires);
      if (attempt.worker.row.state === "lost") armLosses(state, attempt.worker, state.lastStepMono);
    }
    if (run.row.state === "retrying") resumeRetry(state, run);
  }
}

/** Its pause begins anew, since nobody knows how much of it is over; a fence that may not have passed is waited for whole. */
function resumeRetry(state: ControlState, run: RunCell): void {
  const fenceMs = isUnproven(run.lastEnd) ? fenceWaitMs(state, run) : 0;
  run.holdWhy = "the manager was started anew meanwhile";
  armRun(state, run, state.lastStepMono + Math.max(doubledBackoffMs(run), fenceMs));
}
