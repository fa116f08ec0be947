/** Workers: list, show, label, remove, drain. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import { labelKey, labels, labelValue } from "../../schema/task.ts";
import { workerStates, workerView } from "../../schema/worker.ts";
import type { WorkerRecord } from "../control/records.ts";
import type { ApiParts } from "./deps.ts";
import { workerExample } from "./examples.ts";
import { mergePatch } from "./merge-patch.ts";
import { parsed } from "./problem.ts";
import { cursor, flag, labelFilter, limit, oneOrMoreOf, pageOf, pageReply, poolFilter, reason, sentence } from "./queries.ts";
import { json, route, type AnyRoute, type Reply } from "./route.ts";
import { given } from "./tasks.ts";
import { workerViewOf } from "./views.ts";

const tag = "workers";
const byWorkerId = z.strictObject({ id });
const shown = { description: "the worker", content: { "application/json": workerView }, example: workerExample };

async function workerReply(parts: ApiParts, worker: WorkerRecord): Promise<Reply> {
  const liveOf = await parts.plane.workersLive([worker]);
  return json(200, workerViewOf(worker, liveOf(worker)));
}

async function findWorker(parts: ApiParts, workerId: string): Promise<WorkerRecord> {
  const worker = await parts.store.worker(workerId);
  if (!worker) throw problem("not-found", `no worker with id ${workerId}`);
  return worker;
}

const listWorkers = route(
  {
    method: "get",
    path: "/workers",
    operationId: "listWorkers",
    tag,
    summary: "List workers",
    permission: "workers:read",
    query: z.strictObject({
      state: oneOrMoreOf(workerStates)
        .optional()
        .describe(`one or more of ${workerStates.join(", ")}, with commas`),
      pool: poolFilter,
      label: labelFilter,
      limit,
      cursor,
    }),
    replies: {
      200: {
        description: "a page of workers",
        content: { "application/json": pageOf(workerView) },
        example: { items: [workerExample], next: null },
        headers: { Link: "the next page" },
      },
    },
    problems: ["malformed"],
  },
  async ({ parts, query, request }) => {
    const { limit: most, cursor: after, state, ...wanted } = query;
    const filter = { ...given({ ...wanted, states: state }), limit: most ?? requestLimits.listDefault, cursor: after ?? null };
    const page = await parts.store.workers(filter);
    const liveOf = await parts.plane.workersLive(page.items);
    return pageReply(request, page, (worker) => workerViewOf(worker, liveOf(worker)));
  },
);

const getWorker = route(
  {
    method: "get",
    path: "/workers/{id}",
    operationId: "getWorker",
    tag,
    summary: "Show a worker",
    permission: "workers:read",
    params: byWorkerId,
    replies: { 200: shown },
    problems: ["malformed", "not-found"],
  },
  async ({ parts, params, subject }) => {
    subject.workerId = params.id;
    return workerReply(parts, await findWorker(parts, params.id));
  },
);

const patchBody = z.strictObject({
  labels: z
    .record(labelKey, labelValue.nullable())
    .describe("null takes a label set here away; the worker's own then shows again"),
  reason: sentence.nullable().default(null),
});

const patchWorker = route<{ id: string }, Record<never, never>, z.output<typeof patchBody>>(
  {
    method: "patch",
    path: "/workers/{id}",
    operationId: "patchWorker",
    tag,
    summary: "Set labels over the worker's own",
    permission: "workers:write",
    params: byWorkerId,
    body: {
      kind: "json",
      schema: patchBody,
      optional: false,
      types: ["application/json", "application/merge-patch+json"],
      example: { labels: { zone: "a", old: null } },
    },
    replies: { 200: shown },
    problems: ["malformed", "not-found", "too-large", "unsupported-type"],
  },
  async ({ parts, params, body, by, subject }) => {
    subject.workerId = params.id;
    const worker = await findWorker(parts, params.id);
    const merged = parsed(labels, mergePatch(worker.apiLabels, body.labels), "body");
    const outcome = await parts.plane.ask(worker.pool, {
      kind: "labelWorker",
      workerId: params.id,
      labels: merged,
      by,
      byReason: body.reason,
    });
    return workerReply(parts, outcome.kind === "worker" ? outcome.worker : await findWorker(parts, params.id));
  },
);

const deleteWorker = route(
  {
    method: "delete",
    path: "/workers/{id}",
    operationId: "deleteWorker",
    tag,
    summary: "Remove a worker",
    description:
      "With live attempts it is refused (409) unless `stop=true`: they then end `lost`, because nobody will hear of them again.",
    permission: "workers:write",
    params: byWorkerId,
    query: z.strictObject({ stop: flag.optional(), reason }),
    replies: { 204: { description: "removed" } },
    problems: ["malformed", "not-found", "live-runs"],
  },
  async ({ parts, params, query, by, subject }) => {
    subject.workerId = params.id;
    const pool = await parts.pools.ofWorker(params.id);
    await parts.plane.ask(pool, {
      kind: "deleteWorker",
      workerId: params.id,
      stop: query.stop ?? false,
      by,
      byReason: query.reason ?? null,
    });
    return { status: 204 };
  },
);

const reasonBody = z.strictObject({ reason: sentence.nullable().default(null) });

function drainRoute(on: boolean): AnyRoute {
  return route<{ id: string }, Record<never, never>, z.output<typeof reasonBody>>(
    {
      method: "post",
      path: `/workers/{id}/${on ? "drain" : "undrain"}`,
      operationId: on ? "drainWorker" : "undrainWorker",
      tag,
      summary: on ? "Give the worker nothing new; what runs there goes on" : "Let the worker have work again",
      permission: "workers:write",
      params: byWorkerId,
      body: { kind: "json", schema: reasonBody, optional: true, types: ["application/json"], example: { reason: "new disks" } },
      replies: { 200: shown },
      problems: ["malformed", "not-found", "too-large", "unsupported-type"],
    },
    async ({ parts, params, body, by, subject }) => {
      subject.workerId = params.id;
      const pool = await parts.pools.ofWorker(params.id);
      const outcome = await parts.plane.ask(pool, { kind: "drainWorker", workerId: params.id, on, by, byReason: body.reason });
      return workerReply(parts, outcome.kind === "worker" ? outcome.worker : await findWorker(parts, params.id));
    },
  );
}

export const workerRoutes: readonly AnyRoute[] = [
  listWorkers,
  getWorker,
  patchWorker,
  deleteWorker,
  drainRoute(true),
  drainRoute(false),
];
