/** Edits of a task: each makes a new version. What is built from the current version is built again when somebody else was first. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { apiLimits, requestLimits } from "../../schema/limits.ts";
import { problem, ProblemError } from "../../schema/problem.ts";
import { taskInput, taskName, type TaskDefinition } from "../../schema/task.ts";
import { taskView } from "../../schema/task-view.ts";
import { utf8Of } from "./body.ts";
import { isScript, toStore } from "./definition.ts";
import { taskExample, taskViewExample } from "./examples.ts";
import { mergePatch } from "./merge-patch.ts";
import { parsed } from "./problem.ts";
import { reason } from "./queries.ts";
import { route, type AnyRoute, type Call, type Reply } from "./route.ts";
import { findTask, ifMatchOf, taskOutcome, type TaskFound } from "./task-answers.ts";
import { byTaskId, ifMatch, tag, taskInputShown, withReason } from "./tasks.ts";

type Fields = Record<string, unknown>;
const anyObject = z.looseObject({});
const jsonTypes = ["application/json"] as const;
const changed = {
  description: "the new version",
  content: { "application/json": taskView },
  example: taskViewExample,
  headers: { ETag: "the version in quotes" },
};

const putTask = route<{ id: string }, { reason?: string | undefined }, Fields>(
  {
    method: "put",
    path: "/tasks/{id}",
    operationId: "replaceTask",
    tag,
    summary: "Replace a task's definition by a new version",
    permission: "tasks:write",
    params: byTaskId,
    query: withReason,
    headers: ifMatch,
    body: { kind: "json", schema: anyObject, shown: taskInputShown, optional: false, types: jsonTypes, example: taskExample },
    replies: { 200: changed },
    problems: ["malformed", "not-found", "name-taken", "version-changed", "too-large", "unsupported-type", "impossible"],
  },
  async (call) => edit(call, (found) => parsed(taskInput, { pool: found.task.pool, ...call.body }, "body"), false),
);

const patchTask = route<{ id: string }, { reason?: string | undefined }, Fields>(
  {
    method: "patch",
    path: "/tasks/{id}",
    operationId: "patchTask",
    tag,
    summary: "Change some fields of a task",
    description:
      "A JSON merge patch (RFC 7396) of the newest definition: null takes a field back to its default. Without If-Match it is applied to whatever is newest.",
    permission: "tasks:write",
    params: byTaskId,
    query: withReason,
    headers: ifMatch,
    body: {
      kind: "json",
      schema: anyObject,
      optional: false,
      types: [...jsonTypes, "application/merge-patch+json"],
      example: { timeoutSeconds: 60 },
    },
    replies: { 200: changed },
    problems: ["malformed", "not-found", "name-taken", "version-changed", "too-large", "unsupported-type", "impossible"],
  },
  async (call) => edit(call, (found) => parsed(taskInput, mergePatch(found.definition, call.body), "body"), true),
);

const putScript = route<{ id: string }, { reason?: string | undefined }, Uint8Array>(
  {
    method: "put",
    path: "/tasks/{id}/script",
    operationId: "uploadScript",
    tag,
    summary: "Upload a task's script",
    description: "The bytes become the script of a new version, exactly as they are.",
    permission: "tasks:write",
    params: byTaskId,
    query: withReason,
    headers: ifMatch,
    body: {
      kind: "bytes",
      types: ["application/octet-stream", "text/*"],
      maxBytes: requestLimits.scriptBytes,
      description: "the script",
    },
    replies: { 200: changed },
    problems: ["malformed", "not-found", "version-changed", "too-large", "unsupported-type", "impossible"],
  },
  async (call) => {
    const text = utf8Of(call.body);
    const content =
      text === undefined
        ? { script: null, scriptBase64: Buffer.from(call.body).toString("base64") }
        : { script: text, scriptBase64: null };
    return edit(
      call,
      ({ definition }) => {
        if (!isScript(definition.run))
          throw problem(
            "impossible",
            `the task runs with the driver ${definition.run.driver}; only the driver script takes a script`,
          );
        return { ...definition, run: { ...definition.run, ...content } };
      },
      true,
    );
  },
);

/**
 * Makes a new version from what `make` makes of the newest. `fromNewest`: the result depends on it, so the plane is told which
 * version that was, and a change in between begins anew unless the client named a version itself.
 */
async function edit(
  call: Call<{ id: string }, { reason?: string | undefined }, unknown>,
  make: (found: TaskFound) => TaskDefinition,
  fromNewest: boolean,
): Promise<Reply> {
  const { parts, params, subject, query, by } = call;
  subject.taskId = params.id;
  const wanted = ifMatchOf(call.header("if-match"), true);
  for (let tried = 1; ; tried += 1) {
    const found = await findTask(parts, params.id);
    if (wanted !== null && wanted !== found.task.version) {
      throw problem(
        "version-changed",
        `the task is at version ${found.task.version}, not ${wanted}; read it again and repeat the change`,
      );
    }
    const definition = make(found);
    if (definition.pool !== found.task.pool) {
      throw problem("impossible", `a task stays in its pool, ${found.task.pool}`, {
        errors: [{ at: "/pool", message: `must be ${found.task.pool}` }],
      });
    }
    const store = await toStore(parts.store, definition, parts.limits.workerLostAfterSeconds);
    const expectedVersion = wanted ?? (fromNewest ? found.task.version : null);
    try {
      const outcome = await parts.plane.ask(definition.pool, {
        kind: "changeTask",
        taskId: params.id,
        store,
        expectedVersion,
        by,
        byReason: query.reason ?? null,
      });
      return await taskOutcome(parts, outcome, definition);
    } catch (error) {
      const overtaken = error instanceof ProblemError && error.problem.code === "version-changed" && wanted === null;
      if (!overtaken || tried >= apiLimits.editTries) throw error;
    }
  }
}

const byName = z.strictObject({ name: taskName });
const byNameQuery = z.strictObject({ pool: id.default("default").describe("the pool that the name is unique in"), reason });

const putByName = route<{ name: string }, { pool: string; reason?: string | undefined }, Fields>(
  {
    method: "put",
    path: "/tasks/by-name/{name}",
    operationId: "putTaskByName",
    tag,
    summary: "Create a task, or replace the one of this name",
    description: "`name` and `pool` may be left out of the body; if they are there they must agree with the address.",
    permission: "tasks:write",
    params: byName,
    query: byNameQuery,
    headers: ifMatch,
    body: {
      kind: "json",
      schema: anyObject,
      shown: taskInputShown.partial({ name: true }),
      optional: false,
      types: jsonTypes,
      example: taskExample,
    },
    replies: { 200: changed, 201: { ...changed, description: "created", headers: { ...changed.headers, Location: "the task" } } },
    problems: ["malformed", "version-changed", "too-large", "unsupported-type", "impossible"],
  },
  async ({ parts, params, query, body, by, subject, header }) => {
    const definition = parsed(taskInput, { name: params.name, pool: query.pool, ...body }, "body");
    if (definition.name !== params.name)
      throw problem("impossible", `the address names the task ${params.name}`, {
        errors: [{ at: "/name", message: `must be ${params.name}` }],
      });
    if (definition.pool !== query.pool)
      throw problem("impossible", `the address names the pool ${query.pool}`, {
        errors: [{ at: "/pool", message: `must be ${query.pool}` }],
      });
    await parts.pools.mustBeLed(definition.pool);
    const ifMatchVersion = ifMatchOf(header("if-match"), false);
    const store = await toStore(parts.store, definition, parts.limits.workerLostAfterSeconds);
    const outcome = await parts.plane.ask(definition.pool, {
      kind: "putTaskByName",
      id: parts.dice.id(),
      store,
      ifMatch: ifMatchVersion,
      by,
      byReason: query.reason ?? null,
    });
    if (outcome.kind === "task") subject.taskId = outcome.task.id;
    return taskOutcome(parts, outcome, definition);
  },
);

// by-name first: its pattern and `/tasks/{id}/script` overlap at a task that is called script.
export const taskEditRoutes: readonly AnyRoute[] = [putByName, putTask, patchTask, putScript];
