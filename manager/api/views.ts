/** Stored records as clients see them. */
import { endSentence } from "../../schema/end.ts";
import type { EventView } from "../../schema/event.ts";
import { timing } from "../../schema/limits.ts";
import { isTerminal, type AttemptView, type RunSummary, type RunView } from "../../schema/run.ts";
import type { TaskSummary } from "../../schema/task-view.ts";
import type { WorkerView } from "../../schema/worker.ts";
import type { WorkerLive } from "../control/core.ts";
import type { AttemptRecord, EventRecord, RunRecord, TaskRecord, WorkerRecord } from "../control/records.ts";
import type { ReasonOf } from "../plane.ts";

let lastMs = Number.NaN;
let lastInstant = "";

/** Wall milliseconds as ISO-8601 UTC. The runs that one request starts have most of their instants in common. */
export function instant(ms: number): string {
  if (ms !== lastMs) {
    lastInstant = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastInstant;
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : instant(ms);
}

/** A run as lists show it. Why it waits is the plane's to say (`reasonsOf`), what its end means is said from the end. */
export function runSummaryOf(run: RunRecord, reasonOf: ReasonOf): RunSummary {
  return {
    id: run.id,
    taskId: run.taskId,
    taskName: run.taskName,
    taskVersion: run.taskVersion,
    pool: run.pool,
    state: run.state,
    reason: isTerminal(run.state) ? (run.end ? endSentence(run.end) : null) : reasonOf(run),
    workerId: run.workerId,
    labels: run.labels,
    createdAt: instant(run.createdAt),
    startedAt: instantOrNull(run.startedAt),
    endedAt: instantOrNull(run.endedAt),
    end: run.end,
    by: run.by,
    rerunOf: run.rerunOf,
    traceId: run.trace.slice(3, 35),
  };
}

export function attemptViewOf(attempt: AttemptRecord): AttemptView {
  return {
    id: attempt.id,
    number: attempt.number,
    workerId: attempt.workerId,
    state: attempt.state,
    sentAt: instant(attempt.sentAt),
    startedAt: instantOrNull(attempt.startedAt),
    endedAt: instantOrNull(attempt.endedAt),
    end: attempt.end,
    pid: attempt.pid,
  };
}

/** A run with its attempts; the result is added by whoever writes it out (runText). */
export function runViewOf(run: RunRecord, attempts: readonly AttemptRecord[], reasonOf: ReasonOf): Omit<RunView, "result"> {
  return {
    ...runSummaryOf(run, reasonOf),
    params: run.params,
    attempts: attempts.toSorted((a, b) => a.number - b.number).map(attemptViewOf),
    progress: run.progress,
    byReason: run.byReason,
  };
}

export function taskSummaryOf(task: TaskRecord): TaskSummary {
  return {
    id: task.id,
    version: task.version,
    name: task.name,
    kind: task.kind,
    pool: task.pool,
    labels: task.labels,
    createdAt: instant(task.createdAt),
    updatedAt: instant(task.updatedAt),
  };
}

/** The stored row, overlaid by what only the leader's memory knows. */
export function workerViewOf(worker: WorkerRecord, live: Partial<WorkerLive> | null): WorkerView {
  return {
    id: worker.id,
    pool: worker.pool,
    state: worker.state,
    reason: live?.reason ?? null,
    stateSince: instant(worker.stateSince),
    labels: { ...worker.ownLabels, ...worker.apiLabels },
    facts: worker.facts,
    capacity: worker.capacity,
    used: live?.used ?? { slots: 0, memoryMb: 0, cpus: 0 },
    load: live?.load ?? null,
    attempts: live?.attempts ?? 0,
    lastSeenAt: instantOrNull(live?.lastSeenWall ?? worker.lastSeenAt),
    clockAheadMs: live?.clockAhead ?? null,
    heartbeatSeconds: (live?.heartbeatMs ?? timing.heartbeatMs) / 1_000,
    survives: worker.survives,
    http: worker.http,
  };
}

/** An event under the id of the stream up to it. */
export function eventViewOf(event: EventRecord, id: string): EventView {
  return {
    id,
    pool: event.pool,
    number: event.number,
    at: instant(event.at),
    kind: event.kind,
    taskId: event.taskId,
    runId: event.runId,
    attemptId: event.attemptId,
    workerId: event.workerId,
    by: event.by,
    data: event.data as EventView["data"],
  };
}
