/** Starts: of one task, of many, and of a run again. The hot path of the API: one start of a lone pool reads nothing. */
import { z } from "zod";
import { sha256Hex } from "../../schema/digest.ts";
import type { Dice } from "../../schema/given.ts";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem, ProblemError, type Problem } from "../../schema/problem.ts";
import { runSummary } from "../../schema/run.ts";
import { labels, params } from "../../schema/task.ts";
import { traceIdOf } from "../../schema/trace.ts";
import type { StartItem } from "../control/inputs.ts";
import type { ItemOutcome } from "../control/outputs.ts";
import type { ApiParts } from "./deps.ts";
import { runSummaryExample } from "./examples.ts";
import { problemView, viewOfProblem, type ApiProblem } from "./problem.ts";
import { sentence } from "./queries.ts";
import { json, route, type AnyRoute, type Call, type Reply } from "./route.ts";
import { byTaskId } from "./tasks.ts";
import { runSummaryOf } from "./views.ts";

const idempotencyKey = z
  .string()
  .regex(new RegExp(`^[\\x21-\\x7e]{1,${requestLimits.idempotencyKeyChars}}$`), `must be 1 to ${requestLimits.idempotencyKeyChars} visible ASCII characters`);

/** What a start may say. Field defaults are those of the task. */
const startFields = {
  params: params.default({}).describe("only parameters that the task declares"),
  workerId: id.nullable().default(null).describe("the only worker that may run it"),
  labels: labels.default({}).describe("added to the task's labels on the run"),
};
export const startBody = z.strictObject({ ...startFields, reason: sentence.nullable().default(null) });
type StartBody = z.output<typeof startBody>;

const bulkItem = z.strictObject({ taskId: id, ...startFields, idempotencyKey: idempotencyKey.nullable().default(null) });
type BulkItem = z.output<typeof bulkItem>;
export const bulkBody = z.strictObject({
  items: z.array(bulkItem).min(1).max(requestLimits.itemsPerBulk),
  reason: sentence.nullable().default(null),
});

const bulkAnswer = z.strictObject({
  items: z.array(
    z.union([z.strictObject({ status: z.literal(202), run: runSummary }), z.strictObject({ status: z.int(), problem: problemView })]),
  ),
});

const startHeaders = {
  "Idempotency-Key": {
    description: "a repeated request with the same key gives the same run; kept for 24 hours, per task. An `outcome-unknown` problem carries the key to repeat with",
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

/** A key that an outcome-unknown carried, because the client had none of its own: it names the run that may exist. */
const mintedKey = /^run\.([A-Za-z0-9_-]{22})$/;

const startTask = route<{ id: string }, Record<never, never>, StartBody>(
  {
    method: "post",
    path: "/tasks/{id}/start",
    operationId: "startTask",
    tag: "runs",
    summary: "Start a task: make a run of its newest version",
    permission: "runs:start",
    params: byTaskId,
    headers: startHeaders,
    body: { kind: "json", schema: startBody, optional: true, types: ["application/json"], example: { params: { city: "Ostrava" } } },
    replies: { 202: accepted },
    problems: ["malformed", "not-found", "in-flight", "too-large", "unsupported-type", "impossible", "key-reused", "too-many", "not-taken", "outcome-unknown"],
  },
  async (call) => {
    const { parts, params: path, body, by, subject } = call;
    subject.taskId = path.id;
    const { reason, ...item } = body;
    const start = itemOf(parts.dice, { ...item, taskId: path.id, idempotencyKey: keyOf(call) }, traceOf(call));
    const pool = await parts.pools.ofTask(path.id);
    const outcome = await parts.plane.ask(pool, { kind: "startRun", item: start, by, byReason: reason }).catch((error: unknown) => {
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
    description: "Items succeed and fail one by one; the answer has one entry for each, in order. All that succeed become durable together.",
    permission: "runs:start",
    headers: { traceparent: startHeaders.traceparent },
    body: {
      kind: "json",
      schema: bulkBody,
      optional: false,
      types: ["application/json"],
      example: { items: [{ taskId: runSummaryExample.taskId, params: { city: "Ostrava" }, idempotencyKey: "2026-11-20-ostrava" }] },
    },
    replies: { 200: { description: "what became of each item", content: { "application/json": bulkAnswer }, example: { items: [{ status: 202, run: runSummaryExample }] } } },
    problems: ["malformed", "too-large", "unsupported-type", "not-taken", "outcome-unknown"],
  },
  async (call) => {
    const { parts, body, by } = call;
    const starts = body.items.map((item) => itemOf(parts.dice, item, traceOf(call)));
    const outcomes = await startAll(parts, starts, { by, byReason: body.reason });
    const items = outcomes.map((outcome) => {
      if (outcome.ok) return { status: 202, run: runSummaryOf(outcome.run, parts.plane) };
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
    body: { kind: "json", schema: z.strictObject({ reason: sentence.nullable().default(null) }), optional: true, types: ["application/json"], example: { reason: "the disk was full" } },
    replies: { 202: accepted },
    problems: ["malformed", "not-found", "in-flight", "too-large", "unsupported-type", "impossible", "key-reused", "too-many", "not-taken", "outcome-unknown"],
  },
  async (call) => {
    const { parts, params: path, body, by } = call;
    const key = keyOf(call);
    const minted = key === null ? undefined : mintedKey.exec(key)?.[1];
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
      trace: traceOf(call),
      by,
      byReason: body.reason,
    } as const;
    const outcome = await parts.plane.ask(pool, ask).catch((error: unknown) => {
      throw withKey(error, ask);
    });
    return runReply(call, outcome.kind === "run" ? outcome.run : undefined);
  },
);

function runReply(call: Call<unknown, unknown, unknown>, run: Parameters<typeof runSummaryOf>[0] | undefined): Reply {
  if (!run) throw new Error("the plane answered a start without a run");
  call.subject.taskId = run.taskId;
  call.subject.runId = run.id;
  return json(202, runSummaryOf(run, call.parts.plane), { location: `/runs/${run.id}` });
}

function keyOf(call: Call<unknown, unknown, unknown>): string | null {
  const given = call.header("idempotency-key");
  if (given === undefined) return null;
  const key = idempotencyKey.safeParse(given);
  if (key.success) return key.data;
  const message = key.error.issues[0]?.message ?? "is not a key";
  throw problem("malformed", `Idempotency-Key ${message}`, { errors: [{ at: "Idempotency-Key", message }] });
}

function itemOf(dice: Dice, item: BulkItem, trace: string): StartItem {
  const { idempotencyKey: key, ...rest } = item;
  const minted = key === null ? undefined : mintedKey.exec(key)?.[1];
  return {
    ...rest,
    runId: minted ?? dice.id(),
    mayExist: minted !== undefined,
    idempotencyKey: minted === undefined ? key : null,
    // Only a key is ever compared with its body.
    bodyHash: key === null ? "" : sha256Hex(JSON.stringify([rest.taskId, sorted(rest.params), rest.workerId, sorted(rest.labels)])),
    trace,
  };
}

function sorted(map: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The trace that the caller is in, or a fresh one. An invalid header is ignored, as W3C asks. */
function traceOf(call: Call<unknown, unknown, unknown>): string {
  const given = call.header("traceparent");
  if (given !== undefined && traceIdOf(given) !== undefined) return given;
  const hex = sha256Hex(call.parts.dice.id());
  return `00-${hex.slice(0, 32)}-${hex.slice(32, 48)}-01`;
}

interface Keyed {
  readonly runId: string;
  readonly idempotencyKey: string | null;
}

/** An outcome-unknown gets the key to repeat the request with; any other error stays as it is (rule 20). */
function withKey(error: unknown, start: Keyed): unknown {
  if (!(error instanceof ProblemError) || error.problem.code !== "outcome-unknown") return error;
  return new ProblemError({ ...error.problem, idempotencyKey: keyToRepeat(start) }, { cause: error });
}

function keyToRepeat(start: Keyed): string {
  return start.idempotencyKey ?? `run.${start.runId}`;
}

/** Asks each pool for its items at once. With one pool its failure is the request's; with several it is its items' own. */
async function startAll(parts: ApiParts, starts: readonly StartItem[], asker: { by: string; byReason: string | null }): Promise<ItemOutcome[]> {
  const found: (ItemOutcome | undefined)[] = Array.from({ length: starts.length });
  const byPool = new Map<string, number[]>();
  for (const [index, start] of starts.entries()) {
    try {
      const pool = await parts.pools.ofTask(start.taskId);
      const indexes = byPool.get(pool) ?? [];
      byPool.set(pool, indexes);
      indexes.push(index);
    } catch (error) {
      found[index] = { ok: false, problem: problemOf(error) };
    }
  }
  const askPool = async (pool: string, indexes: readonly number[]): Promise<void> => {
    const items = indexes.map((index) => starts[index] as StartItem);
    try {
      const outcome = await parts.plane.ask(pool, { kind: "startRuns", items, ...asker });
      if (outcome.kind !== "runs") throw new Error(`expected runs, got ${outcome.kind}`);
      for (const [at, index] of indexes.entries()) found[index] = outcome.items[at];
    } catch (error) {
      const p = problemOf(error);
      if (byPool.size === 1) throw p.code === "outcome-unknown" ? new ProblemError({ ...p, idempotencyKeys: items.map(keyToRepeat) } as ApiProblem, { cause: error }) : error;
      for (const [at, index] of indexes.entries()) {
        const item = items[at] as StartItem;
        found[index] = { ok: false, problem: p.code === "outcome-unknown" ? { ...p, idempotencyKey: keyToRepeat(item) } : p };
      }
    }
  };
  await Promise.all([...byPool].map(([pool, indexes]) => askPool(pool, indexes)));
  return found.map((outcome, index) => outcome ?? { ok: false, problem: { code: "internal", detail: `no outcome for item ${index}` } });
}

/** The problem of an error that is one; anything else is a bug and goes on its way. */
function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  throw error;
}

export const startRoutes: readonly AnyRoute[] = [startTask, startRuns, rerun];
