/** Attempts on the wire: the first send, the resends, the questions, the stops. Silence is answered by repeating, never by guessing (rule 7). */
import type { AttemptRecord } from "../records.ts";
import { endRun, updateRun } from "./runs.ts";
import { armAttempt } from "../due.ts";
import { aboutAttempt } from "./ends.ts";
import { startItemOf } from "./item.ts";
import { take } from "../queue/capacity.ts";
import { isReachable, type AttemptCell, type ControlState, type RunCell, type WorkerCell } from "../state.ts";
import { emit, send, type Turn } from "../turn.ts";
import type { CompiledVersion, Requires } from "../versions.ts";

const nothing: Requires = { slots: 0, memoryMb: 0, cpus: 0 };

/** An attempt in memory. `inherited`: an earlier leader sent it, and what that one echoed is not known. */
export function makeAttempt(
  row: AttemptRecord,
  run: RunCell,
  worker: WorkerCell,
  nowMono: number,
  inherited: boolean,
): AttemptCell {
  return {
    row,
    run,
    worker,
    requires: nothing,
    orphan: false,
    inherited,
    provableMono: -1,
    firstSentMono: nowMono,
    known: null,
    listedEnd: null,
    timerMono: null,
    delayMs: 0,
    lossMono: null,
  };
}

export function keepAttempt(state: ControlState, attempt: AttemptCell): void {
  state.attempts.set(attempt.row.id, attempt);
  attempt.worker.attempts.set(attempt.row.id, attempt);
  attempt.worker.changedSinceBeat = true;
  attempt.worker.digest = null;
}

/** Binds a new attempt of the run to the worker's present epoch (rule 2) and sends its start. */
export function startAttempt(turn: Turn, run: RunCell, version: CompiledVersion, worker: WorkerCell): void {
  const { state, now } = turn;
  const number = run.row.placements + 1;
  const row: AttemptRecord = {
    id: turn.dice.id(),
    runId: run.row.id,
    taskId: run.row.taskId,
    pool: state.options.pool,
    number,
    workerId: worker.row.id,
    epoch: worker.row.epoch as string,
    sentAt: now.wall,
    state: "sent",
    startedAt: null,
    endedAt: null,
    pid: null,
    end: null,
  };
  const attempt = makeAttempt(row, run, worker, now.mono, false);
  attempt.requires = version.definition.requires;
  turn.changes.push({ op: "insertAttempt", row });
  updateRun(turn, run, { state: "starting", workerId: worker.row.id, placements: number, tries: run.row.tries + 1 });
  run.attempt = attempt;
  run.holdWhy = null;
  keepAttempt(state, attempt);
  take(state, worker, attempt.requires);
  emit(turn, "attemptSent", { ...aboutAttempt(attempt), data: { number, epoch: row.epoch } });
  sendStart(turn, attempt, version);
  attempt.delayMs = state.options.timing.resendFirstMs;
  armAttempt(state, attempt, now.mono + attempt.delayMs);
}

function sendStart(turn: Turn, attempt: AttemptCell, version: CompiledVersion): void {
  send(turn, attempt.worker, startItemOf(turn.state, attempt, version));
  turn.state.sentNow.push(attempt);
  raiseProof(turn.state, attempt);
}

/** What was just sent is fresh until the asOf of its envelope and `startTtl`: only a later snapshot proves anything (rule 7b). */
export function raiseProof(state: ControlState, attempt: AttemptCell): void {
  attempt.provableMono = Math.max(attempt.provableMono, (attempt.worker.mono ?? 0) + state.settings.startTtlMs);
}

/** Says again what has not been answered: the start, the question about it, or the stop. */
export function remind(turn: Turn, attempt: AttemptCell): void {
  const { state, now } = turn;
  const { timing } = state.options;
  const { worker, run } = attempt;
  const stopping = attempt.orphan || run.row.stop !== null;
  if (attempt.row.state === "ended" || (!stopping && attempt.row.state !== "sent")) return;
  if (isReachable(worker) && worker.row.epoch !== null) {
    if (stopping) sendStop(turn, attempt);
    else if (
      now.mono - attempt.firstSentMono < timing.startResendMs &&
      attempt.row.epoch === worker.row.epoch &&
      worker.synced &&
      run.version
    )
      sendStart(turn, attempt, run.version);
    else send(turn, worker, { kind: "ask", attempts: [attempt.row.id], hello: true });
  }
  attempt.delayMs = Math.min(timing.resendMaxMs, Math.max(timing.resendFirstMs, attempt.delayMs * 2));
  armAttempt(state, attempt, now.mono + attempt.delayMs);
}

/** Asks the worker to stop it, now and again until it has ended; rule 4 makes it right even if the start never came. */
export function stopAttempt(turn: Turn, attempt: AttemptCell): void {
  if (isReachable(attempt.worker)) sendStop(turn, attempt);
  attempt.delayMs = turn.state.options.timing.resendFirstMs;
  armAttempt(turn.state, attempt, turn.now.mono + attempt.delayMs);
}

/** Who is named when the manager stops a process whose run is over. */
const stoppedByManager = "muster: its run has ended";

function sendStop(turn: Turn, attempt: AttemptCell): void {
  const stop = attempt.run.row.stop;
  send(turn, attempt.worker, {
    kind: "stop",
    attempt: attempt.row.id,
    by: stop?.by ?? stoppedByManager,
    graceSeconds: stop?.graceSeconds ?? attempt.run.version?.definition.killGraceSeconds ?? 10,
  });
}

/** A run whose version the store does not have can never be placed. */
export function endVersionless(turn: Turn, run: RunCell): void {
  endRun(turn, run, "lost", { how: "lost", why: `version ${run.row.taskVersion} of its task is not in the store` });
}
