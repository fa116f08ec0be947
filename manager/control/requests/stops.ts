/** Requests that stop and signal runs. A stop sticks: it is repeated until the run has ended. */
import { managerLimits } from "../../../schema/limits.ts";
import { isTerminal } from "../../../schema/run.ts";
import type { Problem } from "../../../schema/problem.ts";
import { remember } from "../cache.ts";
import { stopAttempt } from "../runs/attempts.ts";
import { armWake } from "../due.ts";
import { aboutAttempt } from "../runs/ends.ts";
import type { Asker, Request } from "../inputs.ts";
import type { RunRecord, StopRequest } from "../records.ts";
import { endRun, inMemory, updateRun } from "../runs/runs.ts";
import { isReachable, recentRun, type ControlState, type RunCell, type Sweep } from "../state.ts";
import { knownRun } from "./starts.ts";
import { changedMeanwhile, noTask, taskOf } from "./tasks.ts";
import { answer, answerProblem, emit, sayProblem, send, type Turn } from "../turn.ts";

type Of<K extends Request["kind"]> = Extract<Request, { kind: K }>;

export function stopRun(turn: Turn, ticket: number, request: Of<"stopRun">): void {
  const known = knownRun(turn.state, request.runId);
  if (!known || known.pool !== turn.state.options.pool) {
    answerProblem(turn, ticket, noRun(request.runId));
    return;
  }
  if (isTerminal(known.state)) {
    answer(turn, ticket, { kind: "run", run: known, repeated: false });
    return;
  }
  const run = inMemory(turn.state, known);
  stopOne(turn, run, request.graceSeconds, request);
  answer(turn, ticket, { kind: "run", run: run.row, repeated: false });
}

function noRun(id: string): Problem {
  return sayProblem("not-found", `there is no run with id ${id}`);
}

/** Stops one run that is not terminal: at once when no attempt of it lives, else through its worker. */
export function stopOne(turn: Turn, run: RunCell, graceSeconds: number | null, asker: Asker): void {
  const { row } = run;
  const grace = graceSeconds ?? run.version?.definition.killGraceSeconds ?? 0;
  const about = { taskId: row.taskId, runId: row.id, workerId: row.workerId, asker };
  if (!run.attempt) {
    const stop: StopRequest = { by: asker.by, graceSeconds: grace, at: turn.now.wall };
    emit(turn, "runStopRequested", about);
    endRun(turn, run, "stopped", { how: "stopped", by: asker.by }, { stop, asker });
    return;
  }
  // The first to ask is remembered; a later one can only make it quicker.
  if (!row.stop) {
    updateRun(turn, run, { state: "stopping", stop: { by: asker.by, graceSeconds: grace, at: turn.now.wall } });
    emit(turn, "runStopRequested", { ...about, data: { graceSeconds: grace } });
  } else if (graceSeconds !== null && graceSeconds < row.stop.graceSeconds) {
    updateRun(turn, run, { stop: { ...row.stop, graceSeconds } });
    emit(turn, "runStopRequested", { ...about, data: { graceSeconds } });
  }
  stopAttempt(turn, run.attempt);
}

export function stopTask(turn: Turn, ticket: number, request: Of<"stopTask">): void {
  if (!taskOf(turn, request.taskId)) {
    answerProblem(turn, ticket, noTask(request.taskId));
    return;
  }
  beginSweep(turn, {
    taskId: request.taskId,
    ticket,
    asker: request,
    graceSeconds: request.graceSeconds,
    thenDelete: false,
    stopped: 0,
    batchNumber: 0,
  });
}

export function deleteTask(turn: Turn, ticket: number, request: Of<"deleteTask">): void {
  const task = taskOf(turn, request.taskId);
  const wrong = task ? changedMeanwhile(task, request.ifMatch) : noTask(request.taskId);
  if (wrong) {
    answerProblem(turn, ticket, wrong);
  } else if (!request.stop && hasLiveRuns(turn.state, request.taskId)) {
    answerProblem(
      turn,
      ticket,
      sayProblem("live-runs", "the task has runs that have not ended; stop them first, or delete with ?stop=true"),
    );
  } else {
    beginSweep(turn, {
      taskId: request.taskId,
      ticket,
      asker: request,
      graceSeconds: null,
      thenDelete: true,
      stopped: 0,
      batchNumber: 0,
    });
  }
}

function hasLiveRuns(state: ControlState, taskId: string): boolean {
  return state.runsOfTask.has(taskId) || storedRuns(state, taskId).length > 0;
}

/** Runs of the task that are not terminal and not in memory: read for this step, or made in this batch. */
function storedRuns(state: ControlState, taskId: string): RunRecord[] {
  const ids = new Set(state.loaded.liveRuns.get(taskId));
  for (const run of state.batch.runs.values()) if (run.taskId === taskId) ids.add(run.id);
  const rows: RunRecord[] = [];
  for (const id of ids) {
    if (state.runs.has(id)) continue;
    const row = recentRun(state, id) ?? state.loaded.runs.get(id);
    if (row && !isTerminal(row.state)) rows.push(row);
  }
  return rows;
}

function beginSweep(turn: Turn, sweep: Sweep): void {
  const { state } = turn;
  if (sweep.thenDelete) state.closing.add(sweep.taskId);
  state.sweeps.push(sweep);
  goOn(turn, sweep);
}

/**
 * The sweep that is first in line goes on, once in each batch: what the batch itself has stopped is not in the store yet, and
 * reading it again would look as if nothing were left.
 */
export function continueSweeps(turn: Turn): void {
  const sweep = sweepToContinue(turn.state);
  if (sweep) goOn(turn, sweep);
}

export function sweepToContinue(state: ControlState): Sweep | undefined {
  const [sweep] = state.sweeps;
  return sweep && sweep.batchNumber !== state.batchNumber ? sweep : undefined;
}

/** Stops what was read of the task's waiting runs and what is in memory; answers once nothing is left of them in the store. */
function goOn(turn: Turn, sweep: Sweep): void {
  const { state } = turn;
  sweep.batchNumber = state.batchNumber;
  const stoppedBefore = sweep.stopped;
  const rows = storedRuns(state, sweep.taskId);
  // There may be more than were read. What was read may be in memory meanwhile, so that `rows` alone does not tell.
  const wasCut = (state.loaded.liveRuns.get(sweep.taskId)?.length ?? 0) >= managerLimits.readsPerBatch;
  // Those in memory too, each time: the queue's window may have taken some in since.
  for (const run of state.runsOfTask.get(sweep.taskId) ?? []) {
    if (run.row.stop && (sweep.graceSeconds ?? run.row.stop.graceSeconds) >= run.row.stop.graceSeconds) continue;
    stopOne(turn, run, sweep.graceSeconds, sweep.asker);
    sweep.stopped += 1;
  }
  for (const row of rows) {
    stopOne(turn, inMemory(state, row), sweep.graceSeconds, sweep.asker);
    sweep.stopped += 1;
  }
  state.loaded.liveRuns.delete(sweep.taskId);
  if (rows.length > 0 || (wasCut && sweep.stopped > stoppedBefore)) {
    armWake(state, turn.now.mono);
    return;
  }
  state.sweeps.splice(state.sweeps.indexOf(sweep), 1);
  if (!sweep.thenDelete) {
    answer(turn, sweep.ticket, { kind: "stopping", runs: sweep.stopped });
    return;
  }
  state.closing.delete(sweep.taskId);
  finishDelete(turn, sweep);
}

function finishDelete(turn: Turn, sweep: Sweep): void {
  const { state, now } = turn;
  const task = taskOf(turn, sweep.taskId);
  if (!task) {
    answerProblem(turn, sweep.ticket, noTask(sweep.taskId));
    return;
  }
  turn.changes.push({ op: "updateTask", id: task.id, set: { deleted: true, updatedAt: now.wall } });
  remember(state.tasks, task.id, { ...task, deleted: true, updatedAt: now.wall });
  remember(state.names, task.name, null);
  emit(turn, "taskDeleted", { taskId: task.id, asker: sweep.asker, data: { name: task.name, stoppedRuns: sweep.stopped } });
  answer(turn, sweep.ticket, { kind: "deleted" });
}

const signalPattern = /^SIG[A-Z0-9]{1,16}$/;

/** Sent once: a signal has no answer that would end a repetition, and two are not one. */
export function signalRun(turn: Turn, ticket: number, request: Of<"signalRun">): void {
  const { state } = turn;
  const known = knownRun(state, request.runId);
  if (!known || known.pool !== state.options.pool) {
    answerProblem(turn, ticket, noRun(request.runId));
    return;
  }
  const attempt = state.runs.get(request.runId)?.attempt;
  if (!signalPattern.test(request.signal)) {
    answerProblem(turn, ticket, sayProblem("impossible", `${request.signal} is no signal; write it as SIGHUP or SIGUSR1`));
  } else if (known.state !== "running" || !attempt || !isReachable(attempt.worker)) {
    answerProblem(turn, ticket, sayProblem("impossible", `the run is ${known.state}; only a running one takes a signal`));
  } else {
    send(turn, attempt.worker, { kind: "signal", attempt: attempt.row.id, signal: request.signal });
    emit(turn, "runSignalled", { ...aboutAttempt(attempt), asker: request, data: { signal: request.signal } });
    answer(turn, ticket, { kind: "run", run: known, repeated: false });
  }
}
