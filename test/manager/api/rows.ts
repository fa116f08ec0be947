/** Rows as a store holds them, for tests that change what they look at. */
import { taskInput, type TaskInput } from "../../../schema/task.ts";
import type {
  AttemptRecord,
  EventRecord,
  RunRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "../../../manager/control/records.ts";

export function taskOf(input: Partial<TaskInput> = {}): TaskInput {
  return { name: "hello", run: { driver: "script", interpreter: "sh", script: "echo hi" }, ...input };
}

export function taskRow(over: Partial<TaskRecord> = {}): TaskRecord {
  return {
    id: "t1",
    pool: "default",
    createdAt: 1,
    name: "hello",
    version: 1,
    labels: {},
    kind: "batch",
    updatedAt: 1,
    deleted: false,
    ...over,
  };
}

export function versionRow(over: Partial<TaskVersionRecord> = {}, input: Partial<TaskInput> = {}): TaskVersionRecord {
  return {
    taskId: "t1",
    version: 1,
    definition: taskInput.parse(taskOf(input)),
    body: null,
    script: null,
    createdAt: 1,
    by: "ana",
    byReason: null,
    ...over,
  };
}

export function runRow(over: Partial<RunRecord> = {}): RunRecord {
  return {
    id: "r1",
    pool: "default",
    taskId: "t1",
    taskVersion: 1,
    taskName: "hello",
    order: 1,
    params: {},
    labels: {},
    wantedWorkerId: null,
    createdAt: 1_000,
    by: "ana",
    byReason: null,
    rerunOf: null,
    trace: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
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
    ...over,
  };
}

export function attemptRow(over: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    id: "a1",
    runId: "r1",
    taskId: "t1",
    pool: "default",
    number: 1,
    workerId: "w1",
    epoch: "journal00000.1.nonce0000000",
    sentAt: 1_000,
    state: "running",
    startedAt: 1_100,
    endedAt: null,
    pid: 42,
    end: null,
    ...over,
  };
}

export function workerRow(over: Partial<WorkerRecord> = {}): WorkerRecord {
  return {
    id: "w1",
    pool: "default",
    createdAt: 1,
    epoch: null,
    connection: 0,
    facts: null,
    ownLabels: { zone: "a" },
    apiLabels: {},
    capacity: null,
    draining: false,
    survives: null,
    http: null,
    state: "online",
    stateSince: 1,
    lastSeenAt: null,
    ...over,
  };
}

export function eventRow(number: number, over: Partial<EventRecord> = {}): EventRecord {
  return {
    pool: "default",
    number,
    at: 1_000 + number,
    kind: "runQueued",
    taskId: "t1",
    runId: "r1",
    attemptId: null,
    workerId: null,
    by: null,
    data: {},
    ...over,
  };
}
