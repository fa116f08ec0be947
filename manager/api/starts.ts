/** Starts: of one task, of many, and of a run again. The hot path of the API: one start of a lone pool reads nothing. */
import * as z from "zod";
import { sha256Hex } from "../../schema/digest.ts";
import { reached } from "../../schema/kit/failpoint.ts";
import { requestLimits } from "../../schema/limits.ts";
import type { ProblemCode } from "../../schema/problem.ts";
import { runSummary } from "../../schema/run.ts";
import type { RunRecord } from "../control/records.ts";
import { runSummaryExample } from "./examples.ts";
import { problemView, viewOfProblem } from "./problem.ts";
import { sentence } from "./queries.ts";
import { json, route, type AnyRoute, type Call, type Reply } from "./route.ts";
import { bulkItem, idempotencyKey, itemOf, keyOf, mintedRunId, startFields, traceFor, withKey } from "./start-items.ts";
import { startAll } from "./start-many.ts";
import { byTaskId } from "./tasks.ts";
import { runSummaryOf } from "./views.ts";

export const startBody = z.strictObject({ ...startFields, reason: sentence.nullable().default(null) });
type StartBody = z.output<typeof startBody>;

export const bulkBody = z.strictObject({
  items: z.array(bulkItem).min(1).max(requestLimits.itemsPerBulk),
  reason: sentence.nullable().default(null),
});

const bulkAnswer = z.strictObject({
  items: z.array(
    z.union([
      z.strictObject({ status: z.literal(202), run: runSummary }),
      z.strictObject({ status: z.int(), problem: problemView }),
    ]),
  ),
});

const startHeaders = {
  "Idempotency-Key": {
    description:
      "a repeated request with the same key gives the same run; kept for 24 hours, per task. An `outcome-unknown` problem carries the key to repeat with",
    schema: idempotencyKey.optional(),
  },
  traceparent: { description: "W3C trace context that the run continues", schema: z.string().optional() },
};

const accepted = {
  description: "accepted and durable",
  content: { "application/json": runSummary },
  example: runSummaryExample,
  headers: { Location: "the run" },
};

/** Of a start of one run. */
const startProblems: readonly ProblemCode[] = [
  "malformed",
  "not-found",
  "in-flight",
  "too-large",
  "unsupported-type",
  "impossible",
  "key-reused",
  "too-many",
  "not-taken",
  "outcome-unknown",
];

const startTask = route<{ id: string }, Record<never, never>, StartBody>(
  {
    method: "post",
    path: "/tasks/{id}/start",
    operationId: "startTask",
    tag: "runs",
    summary: "Start a task: make a run of its newest version",
    description:
      "Whether a client that closes its connection before the answer has a run is not certain: what was not begun by then is dropped, because nobody waits for it; what was begun goes on. Repeat it with the same Idempotency-Key.",
    permission: "runs:start",
    params: byTaskId,
    headers: startHeaders,
    body: {
      kind: "json",
      schema: startBody,
      optional: true,
      types: ["application/json"],
      example: { params: { city: "Ostrava" } },
    },
    replies: { 202: accepted },
    problems: startProblems,
  },
  async (call) => {
    const { parts, params: path, body, by, subject } = call;
    subject.taskId = path.id;
    const { reason, ...item } = body;
    const start = itemOf(parts.dice, { ...item, taskId: path.id, idempotencyKey: keyOf(call) }, traceFor(call));
    reached("s01", start);
    const pool = await parts.pools.ofTask(path.id);
    const outcome = await parts.plane
      .ask(pool, { kind: "startRun", item: start, by, byReason: reason }, call.request.signal)
      .catch((error: unknown) => {
        throw withKey(error, start);
      });
    return runReply(call, outcome.kind === "run" ? outcome.run : undefined);
  },
);

const startRuns = route<Record<never, never>, Record<never, never>, z.output<typeof bulkBody>>(
  {
    method: "post",
    path: "/runs",
    operationId: "startRuns",
    tag: "runs",
    summary: "Start many tasks at once",
    description:
      "Items succeed and fail one by one; the answer has one entry for each, in order. All that succeed become durable together.",
    permission: "runs:start",
    headers: { traceparent: startHeaders.traceparent },
    body: {
      kind: "json",
      schema: bulkBody,
      optional: false,
      types: ["application/json"],
      example: {
        items: [{ taskId: runSummaryExample.taskId, params: { city: "Ostrava" }, idempotencyKey: "2026-11-20-ostrava" }],
      },
    },
    replies: {
      200: {
        description: "what became of each item",
        content: { "application/json": bulkAnswer },
        example: { items: [{ status: 202, run: runSummaryExample }] },
      },
    },
    problems: ["malformed", "too-large", "unsupported-type", "not-taken", "outcome-unknown"],
  },
  async (call) => {
    const { parts, body, by } = call;
    const trace = traceFor(call, body.items.length);
    const starts = body.items.map((item) => itemOf(parts.dice, item, trace));
    reached("s01", starts);
    const outcomes = await startAll(parts, starts, { by, byReason: body.reason }, call.request.signal);
    const reasonOf = await parts.plane.reasonsOf(outcomes.flatMap((outcome) => (outcome.ok ? [outcome.run] : [])));
    const items = outcomes.map((outcome) => {
      if (outcome.ok) return { status: 202, run: runSummaryOf(outcome.run, reasonOf) };
      const view = viewOfProblem(outcome.problem);
      return { status: view.status, problem: view };
    });
    return json(200, { items });
  },
);

const rerun = route<{ id: string }, Record<never, never>, { reason: string | null }>(
  {
    method: "post",
    path: "/runs/{id}/rerun",
    operationId: "rerunRun",
    tag: "runs",
    summary: "Run it again",
    description: "A new run of the same task version with the same parameters, and with `rerunOf`. The old one never changes.",
    permission: "runs:start",
    params: byTaskId,
    headers: startHeaders,
    body: {
      kind: "json",
      schema: z.strictObject({ reason: sentence.nullable().default(null) }),
      optional: true,
      types: ["application/json"],
      example: { reason: "the disk was full" },
    },
    replies: { 202: accepted },
    problems: startProblems,
  },
  async (call) => {
    const { parts, params: path, body, by } = call;
    const key = keyOf(call);
    const minted = mintedRunId(key);
    const runId = minted ?? parts.dice.id();
    const pool = await parts.pools.ofRun(path.id);
    if (minted !== undefined) {
      const known = await parts.store.run(minted);
      if (known?.run.rerunOf === path.id) return runReply(call, known.run);
    }
    const ask = {
      kind: "rerun",
      of: path.id,
      runId,
      idempotencyKey: minted === undefined ? key : null,
      bodyHash: sha256Hex(`rerun\n${path.id}`),
      trace: traceFor(call)(runId),
      by,
      byReason: body.reason,
    } as const;
    const outcome = await parts.plane.ask(pool, ask, call.request.signal).catch((error: unknown) => {
      throw withKey(error, ask);
    });
    return runReply(call, outcome.kind === "run" ? outcome.run : undefined);
  },
);

async function runReply(call: Call<unknown, unknown, unknown>, run: RunRecord | undefined): Promise<Reply> {
  if (!run) throw new Error("the plane answered a start without a run");
  call.subject.taskId = run.taskId;
  call.subject.runId = run.id;
  call.span?.about(run);
  return json(202, runSummaryOf(run, await call.parts.plane.reasonsOf([run])), { location: `/runs/${run.id}` });
}

export const startRoutes: readonly AnyRoute[] = [startTask, startRuns, rerun];
