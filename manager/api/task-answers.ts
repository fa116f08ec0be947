/** What the task routes share: finding a task, showing it, and the condition of an edit. */
import { requestLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import type { TaskDefinition } from "../../schema/task.ts";
import type { TaskView } from "../../schema/task-view.ts";
import type { Outcome } from "../control/outputs.ts";
import type { RunRecord, TaskRecord, TaskVersionRecord } from "../control/records.ts";
import { fromStore, isScript, scriptOf, warningsOf } from "./definition.ts";
import type { ApiParts } from "./deps.ts";
import { json, type Reply } from "./route.ts";
import { runSummaryOf, taskSummaryOf } from "./views.ts";

export interface TaskFound {
  readonly task: TaskRecord;
  readonly version: TaskVersionRecord;
  /** Whole, its large parts put back. */
  readonly definition: TaskDefinition;
}

/** The task with its newest definition; 404 when there is none or it was deleted. */
export async function findTask(parts: ApiParts, taskId: string): Promise<TaskFound> {
  const task = await parts.store.task(taskId);
  if (!task || task.deleted) throw problem("not-found", `no task with id ${taskId}`);
  const version = await parts.store.version(task.id, task.version);
  if (!version) throw new Error(`task ${task.id} has no version ${task.version}`);
  return { task, version, definition: await fromStore(parts.store, version) };
}

/** A task as one answer, with its version as ETag. */
export async function taskReply(
  parts: ApiParts,
  status: number,
  found: TaskFound,
  lastRun: RunRecord | null,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const { task, version, definition } = found;
  const script = version.script ?? scriptOf(definition.run);
  const large = script !== null && script.size > requestLimits.inlineSpecBytes;
  const run = isScript(definition.run) && large ? { ...definition.run, script: null, scriptBase64: null } : definition.run;
  const view: TaskView = {
    ...taskSummaryOf(task),
    ...definition,
    run,
    scriptSha256: script?.sha256 ?? null,
    scriptSize: script?.size ?? null,
    by: version.by,
    byReason: version.byReason,
    lastRun: lastRun && runSummaryOf(lastRun, await parts.plane.reasonsOf([lastRun])),
    warnings: warningsOf(definition),
  };
  return json(status, view, { etag: `"${task.version}"`, ...headers });
}

/** The answer to what the plane made of a task; 201 with its place when it is new. */
export async function taskOutcome(parts: ApiParts, outcome: Outcome, definition: TaskDefinition): Promise<Reply> {
  if (outcome.kind !== "task") throw new Error(`expected a task, got ${outcome.kind}`);
  const found = { task: outcome.task, version: outcome.version, definition };
  if (outcome.created) return taskReply(parts, 201, found, null, { location: `/tasks/${outcome.task.id}` });
  return taskReply(parts, 200, found, await parts.store.lastRun(outcome.task.id));
}

/**
 * The version that `If-Match` demands: null when the header is absent, or `*` where the thing exists anyway. 400 for what is
 * not one ETag of ours.
 */
export function ifMatchOf(header: string | undefined, starAllowed: boolean): number | null {
  if (header === undefined || (starAllowed && header.trim() === "*")) return null;
  const version = /^ *"([0-9]{1,15})" *$/.exec(header)?.[1];
  if (version === undefined) {
    throw problem("malformed", 'If-Match must be the ETag of one version, such as "3"', {
      errors: [{ at: "If-Match", message: 'must be such as "3"' }],
    });
  }
  return Number(version);
}
