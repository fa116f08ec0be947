/** Rows as the API's tests want them: those of the store's tests, in a life of their own. */
import { taskInput, type TaskInput } from "../../../schema/task.ts";
import type {
  AttemptRecord,
  EventRecord,
  RunRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "../../../manager/control/records.ts";
import { attempt, event, run, task, version, worker } from "../../contract/store/rows.ts";

export function taskOf(input: Partial<TaskInput> = {}): TaskInput {
  return { name: "hello", run: { driver: "script", interpreter: "sh", script: "echo hi" }, ...input };
}

export function taskRow(over: Partial<TaskRecord> = {}): TaskRecord {
  return task({ name: "hello", labels: {}, createdAt: 1, updatedAt: 1, ...over });
}

export function versionRow(over: Partial<TaskVersionRecord> = {}, input: Partial<TaskInput> = {}): TaskVersionRecord {
  return version({ definition: taskInput.parse(taskOf(input)), createdAt: 1, by: "ana", ...over });
}

export function runRow(over: Partial<RunRecord> = {}): RunRecord {
  return run({ taskName: "hello", params: {}, by: "ana", trace: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, ...over });
}

export function attemptRow(over: Partial<AttemptRecord> = {}): AttemptRecord {
  return attempt({ epoch: "journal00000.1.nonce0000000", sentAt: 1_000, state: "running", startedAt: 1_100, pid: 42, ...over });
}

export function workerRow(over: Partial<WorkerRecord> = {}): WorkerRecord {
  return worker({ createdAt: 1, ownLabels: { zone: "a" }, state: "online", stateSince: 1, ...over });
}

export function eventRow(number: number, over: Partial<EventRecord> = {}): EventRecord {
  return event({ number, at: 1_000 + number, taskId: "t1", runId: "r1", ...over });
}
