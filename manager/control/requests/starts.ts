/** Requests that make runs: start, many starts, rerun. Items are decided one by one; a repeated key gives the run that it made. */
import { requestLimits, wireLimits } from "../../../schema/limits.ts";
import type { Problem } from "../../../schema/problem.ts";
import type { Labels, Params } from "../../../schema/task.ts";
import { recall, remember } from "../cache.ts";
import type { Asker, Request, StartItem } from "../inputs.ts";
import { startBytes } from "../runs/item.ts";
import type { ItemOutcome } from "../outputs.ts";
import { enqueue } from "../queue/queue.ts";
import type { KeyRecord, RunRecord, TaskRecord } from "../records.ts";
import { keepRun, makeRun } from "../runs/runs.ts";
import { keyKey, recentRun, versionKey, type ControlState } from "../state.ts";
import { noTask, taskOf } from "./tasks.ts";
import { answer, answerProblem, emit, sayProblem, type Turn } from "../turn.ts";
import type { CompiledVersion } from "../versions.ts";
import { hasRoomInWindow } from "../queue/window.ts";

type Of<K extends Request["kind"]> = Extract<Request, { kind: K }>;

/** After how long a client should try again when too many runs wait. */
const retryAfterSeconds = 5;

export function startRun(turn: Turn, ticket: number, request: Of<"startRun">): void {
  const outcome = startOne(turn, request.item, request);
  if (outcome.ok) answer(turn, ticket, { kind: "run", run: outcome.run, repeated: outcome.repeated });
  else answerProblem(turn, ticket, outcome.problem);
}

export function startRuns(turn: Turn, ticket: number, request: Of<"startRuns">): void {
  answer(turn, ticket, { kind: "runs", items: request.items.map((item) => startOne(turn, item, request)) });
}

export function rerun(turn: Turn, ticket: number, request: Of<"rerun">): void {
  const of = knownRun(turn.state, request.of);
  const outcome =
    of && of.pool === turn.state.options.pool
      ? rerunOne(turn, of, request)
      : refuse(sayProblem("not-found", `there is no run with id ${request.of}`));
  if (outcome.ok) answer(turn, ticket, { kind: "run", run: outcome.run, repeated: outcome.repeated });
  else answerProblem(turn, ticket, outcome.problem);
}

/** A run by id, from wherever it is newest: memory, this batch, or what was read for it. Null: there is none. */
export function knownRun(state: ControlState, id: string): RunRecord | null {
  return state.runs.get(id)?.row ?? recentRun(state, id) ?? state.loaded.runs.get(id) ?? null;
}

interface NewRun {
  readonly id: string;
  readonly task: TaskRecord;
  readonly version: CompiledVersion;
  readonly params: Params;
  readonly labels: Labels;
  readonly wantedWorkerId: string | null;
  readonly rerunOf: string | null;
  readonly trace: string;
  readonly key: { readonly key: string | null; readonly bodyHash: string };
}

function refuse(problem: Problem): ItemOutcome {
  return { ok: false, problem };
}

function startOne(turn: Turn, item: StartItem, asker: Asker): ItemOutcome {
  const { state } = turn;
  const earlier = earlierRun(turn, item.taskId, item.idempotencyKey, item.bodyHash) ?? sameRun(turn, item);
  if (earlier) return earlier;
  const task = taskOf(turn, item.taskId);
  if (!task) return refuse(noTask(item.taskId));
  if (state.closing.has(task.id)) return refuse(sayProblem("not-found", `the task ${task.id} is being deleted`));
  const version = recall(state.versions, versionKey(task.id, task.version));
  if (!version) return refuse(sayProblem("internal", `version ${task.version} of task ${task.id} is not in the store`));
  const wrong = noScript(version) ?? wrongParams(version, item.params) ?? wrongWorker(state, item.workerId) ?? tooMany(state);
  if (wrong) return refuse(wrong);
  const params = { ...version.definition.params, ...item.params };
  const labels = { ...task.labels, ...item.labels };
  const unfit = tooLarge(version, params) ?? tooManyLabels(labels);
  if (unfit) return refuse(unfit);
  const key = { key: item.idempotencyKey, bodyHash: item.bodyHash };
  return insertRun(
    turn,
    { id: item.runId, task, version, params, labels, wantedWorkerId: item.workerId, rerunOf: null, trace: item.trace, key },
    asker,
  );
}

function rerunOne(turn: Turn, of: RunRecord, request: Of<"rerun">): ItemOutcome {
  const { state } = turn;
  const earlier = earlierRun(turn, of.taskId, request.idempotencyKey, request.bodyHash);
  if (earlier) return earlier;
  const task = taskOf(turn, of.taskId);
  if (!task || state.closing.has(of.taskId))
    return refuse(sayProblem("impossible", `the task ${of.taskId} of this run was deleted`));
  const version = recall(state.versions, versionKey(of.taskId, of.taskVersion));
  if (!version) return refuse(sayProblem("internal", `version ${of.taskVersion} of task ${of.taskId} is not in the store`));
  const wrong = wrongWorker(state, of.wantedWorkerId) ?? tooMany(state);
  if (wrong) return refuse(wrong);
  const key = { key: request.idempotencyKey, bodyHash: request.bodyHash };
  const { params, labels, wantedWorkerId } = of;
  return insertRun(
    turn,
    { id: request.runId, task, version, params, labels, wantedWorkerId, rerunOf: of.id, trace: request.trace, key },
    request,
  );
}

/** The outcome of the request that used this key before, if one did. */
function earlierRun(turn: Turn, taskId: string, key: string | null, bodyHash: string): ItemOutcome | undefined {
  const used = key === null ? null : recall(turn.state.keys, keyKey(taskId, key));
  if (!used) return undefined;
  if (used.bodyHash !== bodyHash)
    return refuse(
      sayProblem("key-reused", "this Idempotency-Key was used with another body; take a new key for another request"),
    );
  const run = knownRun(turn.state, used.runId);
  return run
    ? { ok: true, run, repeated: true }
    : refuse(sayProblem("not-found", `the run ${used.runId} that this Idempotency-Key made is not kept any more`));
}

/** A request repeated with the minted key of an unknown outcome: the run may be there (rule 20). */
function sameRun(turn: Turn, item: StartItem): ItemOutcome | undefined {
  const run = item.mayExist ? knownRun(turn.state, item.runId) : null;
  if (!run) return undefined;
  if (run.taskId === item.taskId) return { ok: true, run, repeated: true };
  return refuse(sayProblem("key-reused", "this Idempotency-Key belongs to a run of another task"));
}

/** A task may be made before its script is uploaded; it cannot be started before. */
function noScript({ record, definition }: CompiledVersion): Problem | undefined {
  const { run } = definition;
  if (!("interpreter" in run) || run.script !== null || run.scriptBase64 !== null || record.script !== null) return undefined;
  return sayProblem("impossible", `the task has no script yet; give it one with PUT /tasks/${record.taskId}/script`);
}

function wrongParams(version: CompiledVersion, params: Params): Problem | undefined {
  const declared = version.definition.params;
  const unknown = Object.keys(params).filter((name) => !Object.hasOwn(declared, name));
  if (unknown.length === 0) return undefined;
  const names = Object.keys(declared);
  const list = names.length > 0 ? `it declares ${names.join(", ")}` : "it declares none";
  const errors = unknown.map((name) => ({ at: `/params/${name}`, message: `the task declares no parameter ${name}; ${list}` }));
  return sayProblem("impossible", `the task declares no parameter ${unknown.join(", ")}; ${list}`, { errors });
}

function wrongWorker(state: ControlState, workerId: string | null): Problem | undefined {
  if (workerId === null) return undefined;
  const worker = state.workers.get(workerId);
  if (worker && worker.row.state !== "removed") return undefined;
  return sayProblem("impossible", `there is no worker ${workerId} in pool ${state.options.pool}`, {
    errors: [{ at: "/workerId", message: "is no known worker" }],
  });
}

function tooMany(state: ControlState): Problem | undefined {
  const { queue, options } = state;
  if (queue.queued + queue.retrying < options.limits.waitingRuns) return undefined;
  return sayProblem("too-many", `${options.limits.waitingRuns} runs wait already`, { retryAfterSeconds });
}

function tooLarge(version: CompiledVersion, params: Params): Problem | undefined {
  const bytes = startBytes(version, params);
  if (bytes <= wireLimits.startInlineBytes) return undefined;
  return sayProblem(
    "impossible",
    `a start with these parameters takes ${bytes} bytes of a message, the most is ${wireLimits.startInlineBytes}; make the parameters smaller`,
  );
}

function tooManyLabels(labels: Labels): Problem | undefined {
  if (Object.keys(labels).length <= requestLimits.labelsMax) return undefined;
  return sayProblem("impossible", `the task's labels and the run's are more than ${requestLimits.labelsMax} together`);
}

function insertRun(turn: Turn, made: NewRun, asker: Asker): ItemOutcome {
  const { state, now } = turn;
  const row: RunRecord = {
    id: made.id,
    pool: state.options.pool,
    taskId: made.task.id,
    taskVersion: made.version.record.version,
    taskName: made.task.name,
    // The number of the event that queues it: unique in the pool, and known to the next leader without an index of its own.
    order: state.lastEvent + 1,
    params: made.params,
    labels: made.labels,
    wantedWorkerId: made.wantedWorkerId,
    createdAt: now.wall,
    by: asker.by,
    byReason: asker.byReason,
    rerunOf: made.rerunOf,
    trace: made.trace,
    state: "queued",
    workerId: null,
    startedAt: null,
    endedAt: null,
    end: null,
    placements: 0,
    tries: 0,
    stop: null,
    result: null,
    resultBody: null,
    progress: null,
  };
  turn.changes.push({ op: "insertRun", row });
  emit(turn, "runQueued", {
    taskId: row.taskId,
    runId: row.id,
    asker,
    data: { version: row.taskVersion, ...(row.rerunOf ? { rerunOf: row.rerunOf } : {}) },
  });
  if (made.key.key !== null)
    insertKey(turn, { taskId: row.taskId, key: made.key.key, bodyHash: made.key.bodyHash, runId: row.id, at: now.wall });
  waitInQueue(turn, row, made.version);
  return { ok: true, run: row, repeated: false };
}

function insertKey(turn: Turn, row: KeyRecord): void {
  turn.changes.push({ op: "insertKey", row });
  remember(turn.state.keys, keyKey(row.taskId, row.key), row);
}

/** In memory when nothing older is left in the store, else there, to be paged in when its turn comes. */
function waitInQueue(turn: Turn, row: RunRecord, version: CompiledVersion): void {
  const { state } = turn;
  const near = hasRoomInWindow(state);
  state.queue.queued += 1;
  if (near) {
    const run = makeRun(row, version);
    keepRun(state, run);
    enqueue(state, run);
  } else {
    state.batch.fresh += 1;
    state.queue.turnsLeft = state.queue.queued;
    state.batch.runs.set(row.id, row);
  }
}
