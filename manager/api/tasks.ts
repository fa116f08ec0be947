/** Tasks: create, list, show, remove, stop all of their runs. Edits are in task-edits.ts, starts in starts.ts. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { execRun, otherRun, scriptRun, taskInput, taskName, type TaskDefinition } from "../../schema/task.ts";
import { taskSummary, taskView } from "../../schema/task-view.ts";
import { toStore } from "./definition.ts";
import { taskExample, taskViewExample } from "./examples.ts";
import { cursor, flag, labelFilter, limit, pageOf, pageReply, poolFilter, reason, sentence } from "./queries.ts";
import { json, route, type AnyRoute } from "./route.ts";
import { findTask, ifMatchOf, taskOutcome, taskReply } from "./task-answers.ts";
import { taskSummaryOf } from "./views.ts";

export const tag = "tasks";
export const byTaskId = z.strictObject({ id });
export const withReason = z.strictObject({ reason });

/** `taskInput` with its run part as the document can show it: the checking one is a transform that picks a shape by driver. */
export const taskInputShown = taskInput.extend({ run: z.union([execRun, scriptRun, otherRun]) });

export const ifMatch = {
  "If-Match": {
    description: "the ETag that the change was made from; 412 when the task has changed since",
    schema: z.string().optional(),
  },
};

const taskReplies = {
  description: "the task",
  content: { "application/json": taskView },
  example: taskViewExample,
  headers: { ETag: "the version in quotes" },
};

export const createTask = route<unknown, { reason?: string | undefined }, TaskDefinition>(
  {
    method: "post",
    path: "/tasks",
    operationId: "createTask",
    tag,
    summary: "Create a task",
    permission: "tasks:write",
    query: withReason,
    body: {
      kind: "json",
      schema: taskInput,
      shown: taskInputShown,
      optional: false,
      types: ["application/json"],
      example: taskExample,
    },
    replies: { 201: { ...taskReplies, headers: { ...taskReplies.headers, Location: "the task" } } },
    problems: ["malformed", "name-taken", "too-large", "unsupported-type", "impossible"],
  },
  async ({ parts, body, query, by, subject }) => {
    await parts.pools.mustBeLed(body.pool);
    const store = await toStore(parts.store, body, parts.limits.workerLostAfterSeconds);
    const taskId = parts.dice.id();
    subject.taskId = taskId;
    const outcome = await parts.plane.ask(body.pool, {
      kind: "createTask",
      id: taskId,
      store,
      by,
      byReason: query.reason ?? null,
    });
    return taskOutcome(parts, outcome, body);
  },
);

const listQuery = z.strictObject({
  name: taskName.optional(),
  kind: z.literal("batch").optional(),
  label: labelFilter,
  pool: poolFilter,
  limit,
  cursor,
});

const listTasks = route(
  {
    method: "get",
    path: "/tasks",
    operationId: "listTasks",
    tag,
    summary: "List tasks",
    permission: "tasks:read",
    query: listQuery,
    replies: {
      200: {
        description: "a page of tasks, without what they run",
        content: { "application/json": pageOf(taskSummary) },
        headers: { Link: "the next page" },
      },
    },
    problems: ["malformed"],
  },
  async ({ parts, query, request }) => {
    const { limit: most, cursor: after, ...wanted } = query;
    const filter = { ...given(wanted), limit: most ?? requestLimits.listDefault, cursor: after ?? null };
    return pageReply(request, await parts.store.tasks(filter), taskSummaryOf);
  },
);

/** The fields that were given: a filter must not hold keys whose value is undefined. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

const getTask = route(
  {
    method: "get",
    path: "/tasks/{id}",
    operationId: "getTask",
    tag,
    summary: "Show a task with its newest definition and its last run",
    permission: "tasks:read",
    params: byTaskId,
    replies: { 200: taskReplies },
    problems: ["malformed", "not-found"],
  },
  async ({ parts, params, subject }) => {
    subject.taskId = params.id;
    const [found, lastRun] = await Promise.all([findTask(parts, params.id), parts.store.lastRun(params.id)]);
    return taskReply(parts, 200, found, lastRun);
  },
);

const deleteTask = route(
  {
    method: "delete",
    path: "/tasks/{id}",
    operationId: "deleteTask",
    tag,
    summary: "Remove a task",
    description:
      "Its runs stay in the history and its name is free again. With live runs it is refused (409) unless `stop=true`, which stops them.",
    permission: "tasks:write",
    params: byTaskId,
    query: z.strictObject({ stop: flag.optional(), reason }),
    headers: ifMatch,
    replies: { 204: { description: "removed" } },
    problems: ["malformed", "not-found", "live-runs", "version-changed"],
  },
  async ({ parts, params, query, by, subject, header }) => {
    subject.taskId = params.id;
    await parts.plane.ask(await parts.pools.ofTask(params.id), {
      kind: "deleteTask",
      taskId: params.id,
      stop: query.stop ?? false,
      ifMatch: ifMatchOf(header("if-match"), true),
      by,
      byReason: query.reason ?? null,
    });
    return { status: 204 };
  },
);

/** How a stop is asked for: of one run, or of all runs of a task. */
export const stopBody = z.strictObject({
  graceSeconds: z.number().min(0).max(3_600).nullable().default(null).describe("between TERM and KILL; null: the task's own"),
  reason: sentence.nullable().default(null),
});

const stopTask = route(
  {
    method: "post",
    path: "/tasks/{id}/stop",
    operationId: "stopTask",
    tag,
    summary: "Stop every run of a task",
    permission: "runs:stop",
    params: byTaskId,
    body: { kind: "json", schema: stopBody, optional: true, types: ["application/json"], example: { reason: "bad data" } },
    replies: {
      202: {
        description: "how many runs were asked to stop",
        content: { "application/json": z.strictObject({ runs: z.int() }) },
        example: { runs: 3 },
      },
    },
    problems: ["malformed", "not-found", "too-large", "unsupported-type"],
  },
  async ({ parts, params, body, by, subject }) => {
    subject.taskId = params.id;
    const outcome = await parts.plane.ask(await parts.pools.ofTask(params.id), {
      kind: "stopTask",
      taskId: params.id,
      graceSeconds: body.graceSeconds,
      by,
      byReason: body.reason,
    });
    return json(202, { runs: outcome.kind === "stopping" ? outcome.runs : 0 });
  },
);

export const taskRoutes: readonly AnyRoute[] = [createTask, listTasks, getTask, deleteTask, stopTask];
