/** The OpenAPI document, from the same definitions that the requests are checked with. */
import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import type * as z from "zod";
import { end } from "../../schema/end.ts";
import { eventView } from "../../schema/event.ts";
import { poolView } from "../../schema/pool.ts";
import { problems, type ProblemCode } from "../../schema/problem.ts";
import { attemptView, runSummary, runView } from "../../schema/run.ts";
import { execRun, otherRun, scriptRun } from "../../schema/task.ts";
import { taskSummary, taskView } from "../../schema/task-view.ts";
import { workerView } from "../../schema/worker.ts";
import { healthView } from "./health-view.ts";
import { makeConverter, named, type Converter, type JsonObject } from "../../schema/kit/json-schema.ts";
import { logRecord } from "./logs.ts";
import { problemView } from "./problem.ts";
import type { AnyRoute, ReplySpec } from "./route.ts";
import { bulkBody, startBody } from "./starts.ts";
import { taskInputShown } from "./tasks.ts";

named({
  Attempt: attemptView,
  BulkStartInput: bulkBody,
  End: end,
  Event: eventView,
  ExecRun: execRun,
  Health: healthView,
  LogRecord: logRecord,
  OtherRun: otherRun,
  Pool: poolView,
  Problem: problemView,
  Run: runView,
  RunSummary: runSummary,
  ScriptRun: scriptRun,
  StartInput: startBody,
  Task: taskView,
  TaskInput: taskInputShown,
  TaskSummary: taskSummary,
  Worker: workerView,
});

const tags = [
  {
    name: "tasks",
    description: "A task is a definition: what to run, where it may run, how to treat it. Each edit makes a new version.",
  },
  {
    name: "runs",
    description: "A run is one requested execution of one task version; an attempt is one placement of a run on one worker.",
  },
  { name: "workers", description: "A worker is the agent on a host. It belongs to one pool." },
  {
    name: "pools",
    description:
      "A pool has tasks, runs and workers of its own, and one manager that leads it. What holds it, and the word that lets it go.",
  },
  { name: "events", description: "An event is one line of history, append-only." },
  { name: "session", description: "Browsers sign in with a token and get a session." },
  { name: "health", description: "Open to all." },
  { name: "metrics", description: "For Prometheus and what reads its formats." },
  { name: "bodies", description: "For workers only: what is too large for a message." },
  { name: "docs", description: "This document." },
];

/** What any route may answer beside its own problems. */
const everywhere: readonly ProblemCode[] = ["malformed", "internal"];
const withToken: readonly ProblemCode[] = ["unauthorized", "forbidden", "too-many", "not-taken"];
const writing: readonly ProblemCode[] = ["not-taken", "outcome-unknown"];

/** The document of the routes, version 3.1. */
export function openApiDocument(routes: readonly AnyRoute[], version: string): JsonObject {
  const converter = makeConverter("#/components/schemas/");
  const { openAPIRegistry: registry, getOpenAPI31Document } = new OpenAPIHono();
  const problem = converter.convert(problemView, "output");
  for (const route of routes) registry.registerPath(operationOf(route, converter, problem));
  for (const [name, schema] of Object.entries(converter.components).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    registry.registerComponent("schemas", name, schema);
  }
  registry.registerComponent("securitySchemes", "token", {
    type: "http",
    scheme: "bearer",
    description: "`npm run token` makes one",
  });
  registry.registerComponent("securitySchemes", "session", {
    type: "apiKey",
    in: "cookie",
    name: "muster_session",
    description: "`__Host-muster` with https",
  });
  registry.registerComponent("securitySchemes", "ticket", {
    type: "http",
    scheme: "Ticket",
    description: "a worker's, for one attempt",
  });
  return getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Muster",
      version,
      description:
        "Runs anything, on any host, and always knows what became of it. A 2xx answer is durable. Every error is a problem (RFC 9457) whose `code` is stable. Times are ISO-8601 UTC, durations end in Seconds or Ms.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "/" }],
    tags,
  }) as unknown as JsonObject;
}

function operationOf({ spec }: AnyRoute, converter: Converter, problem: JsonObject): RouteConfig {
  const body = spec.body;
  const content = !body
    ? undefined
    : body.kind === "json"
      ? Object.fromEntries(
          body.types.map((type) => [
            type,
            { schema: converter.convert(body.shown ?? body.schema, "input"), example: body.example },
          ]),
        )
      : Object.fromEntries(body.types.map((type) => [type, { schema: {} }]));
  const described = body?.kind === "bytes" ? { description: `${body.description}, at most ${body.maxBytes} bytes` } : {};
  return {
    method: spec.method,
    path: spec.path,
    operationId: spec.operationId,
    tags: [spec.tag],
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    "x-permission": spec.permission,
    security: securityOf(spec.permission),
    parameters: parametersOf(spec, converter) as never,
    ...(content ? { request: { body: { content, required: !(body?.kind === "json" && body.optional), ...described } } } : {}),
    responses: { ...repliesOf(spec.replies, converter), ...problemsOf(spec, problem) },
  } as unknown as RouteConfig;
}

function securityOf(permission: AnyRoute["spec"]["permission"]): readonly Record<string, never[]>[] {
  if (permission === "open") return [];
  return permission === "ticket" ? [{ ticket: [] }] : [{ token: [] }, { session: [] }];
}

function parametersOf(spec: AnyRoute["spec"], converter: Converter): JsonObject[] {
  const found: JsonObject[] = [];
  const add = (place: "path" | "query", shape: z.ZodObject | undefined): void => {
    const object = shape ? converter.convert(shape, "input") : {};
    const required = (object["required"] ?? []) as readonly string[];
    for (const [name, schema] of Object.entries((object["properties"] ?? {}) as Record<string, JsonObject>)) {
      const { description, ...rest } = schema;
      found.push({
        name,
        in: place,
        required: required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema: rest,
        ...(rest["type"] === "array" ? { style: "form", explode: false } : {}),
      });
    }
  };
  add("path", spec.params);
  add("query", spec.query);
  for (const [name, { description, schema }] of Object.entries(spec.headers ?? {})) {
    found.push({ name, in: "header", required: false, description, schema: converter.convert(schema, "input") });
  }
  return found;
}

function repliesOf(replies: AnyRoute["spec"]["replies"], converter: Converter): JsonObject {
  return Object.fromEntries(
    Object.entries(replies).map(([status, reply]) => [
      status,
      {
        description: reply.description,
        ...(reply.headers
          ? {
              headers: Object.fromEntries(
                Object.entries(reply.headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
              ),
            }
          : {}),
        ...(reply.content ? { content: contentOf(reply.content, reply, converter) } : {}),
      },
    ]),
  );
}

function contentOf(content: NonNullable<ReplySpec["content"]>, reply: ReplySpec, converter: Converter): JsonObject {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => {
      if (typeof schema === "string") return [type, { schema: { description: schema } }];
      const converted = converter.convert(schema, "output");
      // OpenAPI 3.1 has no schema for a sequence: the description names that of one line, or of one event's data.
      const shown =
        type === "application/json" ? converted : { description: `a sequence of ${String(converted["$ref"]).split("/").at(-1)}` };
      return [
        type,
        { schema: shown, ...(reply.example === undefined || type !== "application/json" ? {} : { example: reply.example }) },
      ];
    }),
  );
}

function problemsOf(spec: AnyRoute["spec"], problem: JsonObject): JsonObject {
  const guarded = spec.permission === "open" || spec.permission === "ticket" ? [] : withToken;
  const changes = guarded.length > 0 && spec.method !== "get" && spec.tag !== "session" ? writing : [];
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of new Set([...everywhere, ...guarded, ...changes, ...spec.problems])) {
    const { status } = problems[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const shown: JsonObject = {};
  for (const [status, codes] of byStatus) {
    if (spec.replies[status]) continue;
    const retry =
      status === 429 || status === 503
        ? { headers: { "Retry-After": { description: "seconds", schema: { type: "integer" } } } }
        : {};
    shown[status] = {
      description: codes.map((code) => `\`${code}\`: ${problems[code].title}`).join("; "),
      ...retry,
      content: { "application/problem+json": { schema: problem } },
    };
  }
  return shown;
}
