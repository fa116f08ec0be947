/**
 * What must be read before an input can be decided. The shell asks until there is nothing more to read:
 *
 *   for (let needs = needsOf(state, input); needs.length > 0; needs = needsOf(state, input)) admit(state, await load(needs));
 *
 * One need may only be known once another was met: a start names its task, the task its newest version.
 */
import { managerLimits } from "../../schema/limits.ts";
import type { InventoryItem } from "../../schema/messages.ts";
import { isTerminal } from "../../schema/run.ts";
import { adoptVersion } from "./runs/adopt.ts";
import { beginBatch } from "./batch.ts";
import { offer, recall } from "./cache.ts";
import { listedBy } from "./fleet/hello.ts";
import type { Input, Loaded, Need, Request, StartItem } from "./inputs.ts";
import { knownRun } from "./requests/starts.ts";
import { isKnown, keyKey, recentAttempt, recentRun, versionKey, type ControlState } from "./state.ts";
import { sweepToContinue } from "./requests/stops.ts";
import { compileVersion } from "./versions.ts";
import { admitPage, pageSize } from "./queue/window.ts";

/** Needs of one input so far, each once. */
type Wanted = Map<string, Need>;

/** What to read now; empty when the input can be stepped. None for a start of a cached task without a key. */
export function needsOf(state: ControlState, input: Input): readonly Need[] {
  beginBatch(state);
  if (state.lacking.size > 0) return lackingVersions(state);
  const wanted: Wanted = new Map();
  switch (input.kind) {
    case "request":
      wantForRequest(state, wanted, input.request);
      break;
    case "hello":
      wantPool(state, wanted, input.workerId);
      wantForHello(state, wanted, listedBy(state.workers.get(input.workerId), input.message));
      break;
    case "reports":
      wantAttempts(
        state,
        wanted,
        input.message.items.map((item) => item.attempt),
      );
      break;
    case "place":
      wantForPlace(state, wanted);
      break;
    case "heartbeat":
    case "status":
    case "takenBack":
    case "tick":
      break;
  }
  return [...wanted.values()];
}

/** A new leader first reads the versions of the runs that live: every decision about them hangs on these. */
function lackingVersions(state: ControlState): Need[] {
  const needs: Need[] = [];
  for (const [run] of state.lacking.values()) {
    if (run) needs.push({ need: "version", taskId: run.row.taskId, version: run.row.taskVersion });
    if (needs.length >= managerLimits.readsPerBatch) break;
  }
  return needs;
}

function wantForRequest(state: ControlState, wanted: Wanted, request: Request): void {
  switch (request.kind) {
    case "createTask":
    case "putTaskByName":
      wantName(state, wanted, request.store.definition.name);
      return;
    case "changeTask":
      wantTask(state, wanted, request.taskId);
      wantName(state, wanted, request.store.definition.name);
      return;
    case "deleteTask":
    case "stopTask":
      wantTask(state, wanted, request.taskId);
      wantLiveRuns(state, wanted, request.taskId);
      return;
    case "startRun":
      wantForStart(state, wanted, request.item);
      return;
    case "startRuns":
      for (const item of request.items) wantForStart(state, wanted, item);
      return;
    case "rerun":
      wantForRerun(state, wanted, request);
      return;
    case "stopRun":
    case "signalRun":
      wantRun(state, wanted, request.runId);
      return;
    case "drainWorker":
    case "labelWorker":
    case "deleteWorker":
    case "releasePool":
      return;
  }
}

function wantForStart(state: ControlState, wanted: Wanted, item: StartItem): void {
  if (item.idempotencyKey !== null) wantKey(state, wanted, item.taskId, item.idempotencyKey);
  if (item.mayExist) wantRun(state, wanted, item.runId);
  const task = recall(state.tasks, item.taskId);
  if (task === undefined) wantTask(state, wanted, item.taskId);
  else if (task) wantVersion(state, wanted, task.id, task.version);
}

function wantForRerun(state: ControlState, wanted: Wanted, request: Extract<Request, { kind: "rerun" }>): void {
  wantRun(state, wanted, request.of);
  const of = knownRun(state, request.of);
  if (!of) return;
  if (request.idempotencyKey !== null) wantKey(state, wanted, of.taskId, request.idempotencyKey);
  wantTask(state, wanted, of.taskId);
  wantVersion(state, wanted, of.taskId, of.taskVersion);
}

/** The attempts; and of those that nobody knows the run, which may be one that the database has taken back (rule 28). */
function wantForHello(state: ControlState, wanted: Wanted, items: readonly InventoryItem[]): void {
  wantAttempts(
    state,
    wanted,
    items.map((item) => item.attempt),
  );
  if (wanted.size > 0) return;
  for (const item of items) {
    if (isKnown(state, item.attempt)) continue;
    wantRun(state, wanted, item.run);
    const run = knownRun(state, item.run);
    if (run && !isTerminal(run.state)) wantVersion(state, wanted, run.taskId, run.taskVersion);
  }
}

function wantPool(state: ControlState, wanted: Wanted, workerId: string): void {
  if (state.workers.has(workerId) || state.loaded.poolOfWorker.has(workerId)) return;
  wanted.set("poolOfWorker", { need: "poolOfWorker", id: workerId });
}

function wantForPlace(state: ControlState, wanted: Wanted): void {
  const sweep = sweepToContinue(state);
  if (sweep) wantLiveRuns(state, wanted, sweep.taskId);
  const limit = pageSize(state);
  if (limit > 0) {
    state.queue.pageLimit = limit;
    wanted.set("page", { need: "queuePage", after: state.queue.cursor, limit });
  }
  for (const line of state.queue.unread) {
    if (wanted.size >= managerLimits.readsPerBatch) break;
    wantVersion(state, wanted, line.taskId, line.version);
  }
}

function wantTask(state: ControlState, wanted: Wanted, id: string): void {
  if (recall(state.tasks, id) === undefined) wanted.set(`task ${id}`, { need: "task", id });
}

function wantVersion(state: ControlState, wanted: Wanted, taskId: string, version: number): void {
  const key = versionKey(taskId, version);
  if (recall(state.versions, key) === undefined) wanted.set(`version ${key}`, { need: "version", taskId, version });
}

function wantName(state: ControlState, wanted: Wanted, name: string): void {
  const id = recall(state.names, name);
  if (id === undefined) wanted.set(`name ${name}`, { need: "taskByName", pool: state.options.pool, name });
  else if (id) wantTask(state, wanted, id);
}

function wantKey(state: ControlState, wanted: Wanted, taskId: string, key: string): void {
  const used = recall(state.keys, keyKey(taskId, key));
  if (used === undefined) wanted.set(`key ${keyKey(taskId, key)}`, { need: "key", taskId, key });
  else if (used) wantRun(state, wanted, used.runId);
}

function wantRun(state: ControlState, wanted: Wanted, id: string): void {
  if (state.runs.has(id) || recentRun(state, id) || state.loaded.runs.has(id)) return;
  wanted.set(`run ${id}`, { need: "run", id });
}

/** Enough to pass over those in memory and find a batch of those that only wait in the store. */
function wantLiveRuns(state: ControlState, wanted: Wanted, taskId: string): void {
  const ids = state.loaded.liveRuns.get(taskId);
  if (ids) for (const id of ids) wantRun(state, wanted, id);
  else
    wanted.set(`live ${taskId}`, {
      need: "liveRunsOfTask",
      taskId,
      limit: (state.runsOfTask.get(taskId)?.size ?? 0) + managerLimits.readsPerBatch,
    });
}

function wantAttempts(state: ControlState, wanted: Wanted, ids: readonly string[]): void {
  const unknown = new Set(
    ids.filter((id) => !state.attempts.has(id) && !recentAttempt(state, id) && !state.loaded.attempts.has(id)),
  );
  if (unknown.size === 0) return;
  state.loaded.asked = [...unknown];
  wanted.set("attempts", { need: "attempts", ids: state.loaded.asked });
}

/** Takes what the store holds. What is newer in memory stays: rows that this batch touched are not in the store yet. */
export function admit(state: ControlState, loaded: readonly Loaded[]): void {
  for (const each of loaded) admitOne(state, each);
}

function admitOne(state: ControlState, each: Loaded): void {
  switch (each.need) {
    case "task":
      offer(state.tasks, each.id, each.found);
      return;
    case "taskByName":
      offer(state.names, each.name, each.found?.id ?? null);
      if (each.found) offer(state.tasks, each.found.id, each.found);
      return;
    case "version": {
      const version = each.found && compileVersion(each.found);
      offer(state.versions, versionKey(each.taskId, each.version), version);
      adoptVersion(state, each.taskId, each.version, version);
      return;
    }
    case "run":
      state.loaded.runs.set(each.id, each.found?.run ?? null);
      return;
    case "key":
      offer(state.keys, keyKey(each.taskId, each.key), each.found);
      return;
    case "liveRunsOfTask":
      state.loaded.liveRuns.set(each.taskId, each.found);
      return;
    case "queuePage":
      admitPage(state, each.after, each.found);
      return;
    case "poolOfWorker":
      state.loaded.poolOfWorker.set(each.id, each.found);
      return;
    case "attempts":
      for (const id of state.loaded.asked) state.loaded.attempts.set(id, null);
      for (const attempt of each.found) state.loaded.attempts.set(attempt.id, attempt);
      state.loaded.asked = [];
      return;
  }
}
