/** A new leader's state. It takes over rows, never clocks: every worker counts as heard now (rule 18). */
import type { Now } from "../../schema/given.ts";
import { keepAttempt, makeAttempt } from "./runs/attempts.ts";
import { makeBatchMemory } from "./batch.ts";
import { brakeAtTakeover } from "./fleet/brake.ts";
import { makeCache } from "./cache.ts";
import { refreshWorker } from "./queue/capacity.ts";
import type { ControlOptions } from "./core.ts";
import { armAttempt, makeDueHeap } from "./due.ts";
import { makeWorker } from "./fleet/join.ts";
import { makeOpenSet } from "./queue/openset.ts";
import { makeQueue } from "./queue/queue.ts";
import type { AttemptRecord, LiveState, RunRecord } from "./records.ts";
import { watch } from "./fleet/reach.ts";
import { keepRun, makeRun } from "./runs/runs.ts";
import { settingsFor } from "./fleet/settings.ts";
import { isReachable, journalKey, versionKey, type AttemptCell, type ControlState, type RunCell } from "./state.ts";

/** `live` is what the store held when the term was taken; the versions of its runs are the first needs. */
export function createControl(options: ControlOptions, live: LiveState, now: Now): ControlState {
  const state = emptyState(options, live, now);
  for (const row of live.workers) {
    const worker = makeWorker(state, row, now.mono);
    state.workers.set(row.id, worker);
    if (isReachable(worker)) state.reachable += 1;
  }
  state.settings = settingsFor(options.timing, state.reachable);
  brakeAtTakeover(state, now.mono);
  for (const worker of state.workers.values()) {
    worker.beatMs = state.settings.heartbeatMs;
    refreshWorker(state, worker);
    watch(state, worker);
  }
  for (const { workerId, journal, applied } of live.journals) state.journals.set(journalKey(workerId, journal), applied);
  for (const { run, attempts } of live.runs) takeOverRun(state, run, attempts, now.mono);
  for (const attempt of live.orphans) takeOverAttempt(state, attempt, makeRun(endedRunOf(attempt), null), now.mono).orphan = true;
  return state;
}

function emptyState(options: ControlOptions, live: LiveState, now: Now): ControlState {
  const { taskCache } = options.limits;
  return {
    options,
    workers: new Map(),
    journals: new Map(),
    runs: new Map(),
    runsOfTask: new Map(),
    attempts: new Map(),
    queue: makeQueue(live.queued),
    due: makeDueHeap(),
    free: makeOpenSet("free"),
    eager: makeOpenSet("eager"),
    takers: makeOpenSet("takers"),
    changed: new Set(),
    tasks: makeCache(taskCache),
    names: makeCache(taskCache),
    versions: makeCache(taskCache),
    keys: makeCache(taskCache),
    lacking: new Map(),
    batch: makeBatchMemory(),
    previous: makeBatchMemory(),
    loaded: { runs: new Map(), attempts: new Map(), liveRuns: new Map(), poolOfWorker: new Map(), asked: [] },
    batchEnded: false,
    batchNumber: 1,
    sentNow: [],
    sweeps: [],
    closing: new Set(),
    alarms: new Map(),
    hold: live.hold && { row: live.hold, sentence: live.hold.why },
    tookOverRuns: live.queued > 0 || live.runs.length > 0,
    tookOverOrder: live.lastEvent,
    brake: { gone: new Map(), untilMono: null, releasing: false, nextReleaseMono: 0 },
    lastEvent: live.lastEvent,
    lastStepMono: now.mono,
    presentSinceMono: now.mono,
    keysForgottenMono: now.mono,
    reachable: 0,
    settings: settingsFor(options.timing, 0),
  };
}

function takeOverRun(state: ControlState, row: RunRecord, attempts: readonly AttemptRecord[], nowMono: number): void {
  const run = makeRun(row, undefined);
  keepRun(state, run);
  const key = versionKey(row.taskId, row.taskVersion);
  const others = state.lacking.get(key);
  if (others) others.push(run);
  else state.lacking.set(key, [run]);
  const newest = attempts.reduce<AttemptRecord | undefined>((a, b) => (a && a.number > b.number ? a : b), undefined);
  run.lastEnd = newest?.end ?? null;
  for (const attempt of attempts) {
    if (attempt.state === "ended") continue;
    const cell = takeOverAttempt(state, attempt, run, nowMono);
    if (attempt === newest) run.attempt = cell;
    else cell.orphan = true;
  }
}

function takeOverAttempt(state: ControlState, row: AttemptRecord, run: RunCell, nowMono: number): AttemptCell {
  const worker = state.workers.get(row.workerId);
  if (!worker) throw new Error(`attempt ${row.id} is bound to worker ${row.workerId}, which is not in the store`);
  const attempt = makeAttempt(row, run, worker, nowMono, true);
  keepAttempt(state, attempt);
  // Not at once: the worker's hello comes first, and nothing is fresh before it.
  attempt.delayMs = state.options.timing.resendFirstMs;
  armAttempt(state, attempt, nowMono + attempt.delayMs);
  return attempt;
}

/** The run of an orphan is terminal and not in memory; no more of it is needed than that. */
function endedRunOf(attempt: AttemptRecord): RunRecord {
  return {
    id: attempt.runId,
    pool: attempt.pool,
    taskId: attempt.taskId,
    taskVersion: 0,
    taskName: "",
    order: 0,
    params: {},
    labels: {},
    wantedWorkerId: null,
    createdAt: 0,
    by: "",
    byReason: null,
    rerunOf: null,
    trace: "",
    state: "lost",
    workerId: attempt.workerId,
    startedAt: null,
    endedAt: 0,
    end: null,
    placements: attempt.number,
    tries: 0,
    stop: null,
    result: null,
    resultBody: null,
    progress: null,
  };
}
