/** Moving a run: every change of its state goes through here and through the table of moves. */
import type { End } from "../../../schema/end.ts";
import { isTerminal, runMoves, type RunState } from "../../../schema/run.ts";
import type { RunUpdate } from "../changes.ts";
import { armRun } from "../due.ts";
import type { Asker } from "../inputs.ts";
import { dequeue, enqueue } from "../queue/queue.ts";
import type { RunRecord } from "../records.ts";
import { isReachable, type AttemptCell, type ControlState, type RunCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";
import type { CompiledVersion } from "../versions.ts";

export function makeRun(row: RunRecord, version: CompiledVersion | null | undefined): RunCell {
  return {
    row,
    version,
    attempt: null,
    line: null,
    holdMono: null,
    holdWhy: null,
    refusals: 0,
    avoid: null,
    avoidMono: null,
    lastEnd: null,
  };
}

/** Brings a run into memory; it counts as queued or retrying there by its state. */
export function keepRun(state: ControlState, run: RunCell): void {
  state.runs.set(run.row.id, run);
  const others = state.runsOfTask.get(run.row.taskId);
  if (others) others.add(run);
  else state.runsOfTask.set(run.row.taskId, new Set([run]));
  if (run.row.state === "queued") state.queue.inMemory += 1;
  if (run.row.state === "retrying") state.queue.retrying += 1;
}

/** A queued run that was only in the store comes into memory to be changed. */
export function inMemory(state: ControlState, row: RunRecord): RunCell {
  const held = state.runs.get(row.id);
  if (held) return held;
  const run = makeRun(row, undefined);
  keepRun(state, run);
  return run;
}

/** Lets a run go from memory; the store has it, or will with this batch. */
export function dropRun(state: ControlState, run: RunCell): void {
  if (!state.runs.delete(run.row.id)) return;
  if (run.row.state === "queued") state.queue.inMemory -= 1;
  if (run.row.state === "retrying") state.queue.retrying -= 1;
  dequeue(run);
  run.holdMono = null;
  run.avoidMono = null;
  const others = state.runsOfTask.get(run.row.taskId);
  others?.delete(run);
  if (others?.size === 0) state.runsOfTask.delete(run.row.taskId);
}

/** Sets fields of a run that is in memory, and its counts. A move that the table does not have is a bug and throws. */
export function updateRun(turn: Turn, run: RunCell, set: RunUpdate): void {
  const { queue } = turn.state;
  const from = run.row.state;
  const to = set.state ?? from;
  if (to !== from) {
    const moves: readonly RunState[] = runMoves[from];
    if (!moves.includes(to)) throw new Error(`run ${run.row.id} cannot move from ${from} to ${to}`);
    const step = (state: RunState): number => (to === state ? 1 : from === state ? -1 : 0);
    queue.queued += step("queued");
    queue.inMemory += step("queued");
    queue.retrying += step("retrying");
  }
  run.row = { ...run.row, ...set };
  turn.changes.push({ op: "updateRun", id: run.row.id, set });
}

/** A run's end, decided once (rule 22). Its attempt, if it has not ended, goes on as an orphan. */
export function endRun(
  turn: Turn,
  run: RunCell,
  state: RunState,
  end: End,
  more: RunUpdate & { readonly asker?: Asker } = {},
): void {
  if (!isTerminal(state)) throw new Error(`run ${run.row.id}: ${state} is not an end`);
  const { asker, ...set } = more;
  updateRun(turn, run, { endedAt: turn.now.wall, ...set, state, end });
  emit(turn, "runEnded", {
    taskId: run.row.taskId,
    runId: run.row.id,
    workerId: run.row.workerId,
    asker: asker ?? null,
    data: { state, end },
  });
  if (run.attempt) {
    run.attempt.orphan = true;
    run.attempt = null;
  }
  turn.state.batch.runs.set(run.row.id, run.row);
  dropRun(turn.state, run);
}

/** The state that a run has by its attempt and what was asked of it. */
export function naturalState(run: RunCell, attempt: AttemptCell): RunState {
  if (run.row.stop) return "stopping";
  if (!isReachable(attempt.worker)) return "unreachable";
  return attempt.row.state === "running" || attempt.row.state === "stopping" ? "running" : "starting";
}

/** Back to the queue, in its old place; `holdMs` keeps it from being placed at once. */
export function requeue(turn: Turn, run: RunCell, holdMs: number, why: string): void {
  updateRun(turn, run, { state: "queued" });
  hold(turn, run, holdMs, why);
}

/** Keeps a waiting run from being placed for a while. */
export function hold(turn: Turn, run: RunCell, holdMs: number, why: string): void {
  run.holdWhy = why;
  if (holdMs > 0) armRun(turn.state, run, turn.now.mono + holdMs);
  else enqueue(turn.state, run);
}
