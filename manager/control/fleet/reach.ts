/** Whether a worker is heard: from silent to unreachable to lost, and back. Silence is measured by our own clock only. */
import { armWorker } from "../due.ts";
import { noteBack, noteGone } from "./brake.ts";
import { updateWorker } from "./drain.ts";
import { armLosses, disarmLosses } from "../runs/loss.ts";
import { naturalState, updateRun } from "../runs/runs.ts";
import { countReachable } from "./settings.ts";
import { heardSince, isReachable, type ControlState, type WorkerCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";

/** Something of its current epoch arrived. False when it is older than what is known: that is no sign of life. */
export function hear(turn: Turn, worker: WorkerCell, mono: number): boolean {
  if (worker.mono !== null && mono <= worker.mono) return false;
  worker.mono = mono;
  worker.heardMono = turn.now.mono;
  worker.heardWall = turn.now.wall;
  return true;
}

/** From now on it counts as heard: online, or draining if that was asked of it. */
export function becomeReachable(turn: Turn, worker: WorkerCell): void {
  if (isReachable(worker)) return;
  const { row } = worker;
  countReachable(turn.state, 1);
  worker.releaseMono = null;
  noteBack(turn.state, worker);
  const state = row.draining ? (worker.attempts.size > 0 ? "draining" : "drained") : "online";
  updateWorker(turn, worker, { state, stateSince: turn.now.wall, lastSeenAt: turn.now.wall });
  emit(turn, "workerOnline", { workerId: row.id, data: { was: row.state, epoch: row.epoch } });
  disarmLosses(worker);
  watch(turn.state, worker);
  for (const attempt of worker.attempts.values()) {
    if (attempt.orphan || attempt.run.row.state !== "unreachable") continue;
    updateRun(turn, attempt.run, { state: naturalState(attempt.run, attempt) });
  }
}

/** Nobody hears it: no new placements, and its runs say so. Nothing else changes: silence proves nothing (rule 7). */
export function becomeUnreachable(turn: Turn, worker: WorkerCell, why: string): void {
  if (!isReachable(worker)) return;
  countReachable(turn.state, -1);
  updateWorker(turn, worker, {
    state: "unreachable",
    stateSince: turn.now.wall,
    lastSeenAt: worker.heardWall ?? worker.row.lastSeenAt,
  });
  emit(turn, "workerUnreachable", { workerId: worker.row.id, data: { why } });
  for (const attempt of worker.attempts.values()) {
    const { run } = attempt;
    if (attempt.orphan || run.row.state === "unreachable") continue;
    updateRun(turn, run, { state: "unreachable" });
    emit(turn, "runUnreachable", {
      taskId: run.row.taskId,
      runId: run.row.id,
      attemptId: attempt.row.id,
      workerId: worker.row.id,
      data: {},
    });
  }
  noteGone(turn, worker);
  watch(turn.state, worker);
}

/** It was silent for the whole loss period. From here on each task's `onLost` decides (rule 8). */
export function becomeLost(turn: Turn, worker: WorkerCell): void {
  updateWorker(turn, worker, { state: "lost", stateSince: turn.now.wall });
  // It must introduce itself anew: meanwhile its runs may have gone elsewhere.
  worker.synced = false;
  emit(turn, "workerLost", { workerId: worker.row.id, data: {} });
  armWorker(turn.state, worker, null);
  armLosses(turn.state, worker, turn.now.mono);
}

/** When its silence is looked at next. A heartbeat moves nothing: the look itself finds out how long it was silent. */
export function watch(state: ControlState, worker: WorkerCell): void {
  const { timing } = state.options;
  const intervals = isReachable(worker)
    ? timing.unreachableIntervals
    : worker.row.state === "unreachable"
      ? timing.workerLostIntervals
      : null;
  armWorker(state, worker, intervals === null ? null : heardSince(state, worker) + intervals * worker.beatMs);
}

export function forgetReachable(state: ControlState, worker: WorkerCell): void {
  if (isReachable(worker)) countReachable(state, -1);
}

export function dropWorkerTimers(worker: WorkerCell): void {
  worker.dueMono = null;
  worker.restMono = null;
}
