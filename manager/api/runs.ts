/** Runs: list, show (and wait for the end), stop, signal. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import { isTerminal, runStates, runSummary, runView } from "../../schema/run.ts";
import { signals } from "../../schema/signals.ts";
import type { AttemptRecord, RunRecord } from "../control/records.ts";
import { makeBell } from "./bell.ts";
import type { ApiParts } from "./deps.ts";
import { runSummaryExample, runViewExample } from "./examples.ts";
import {
  cursor,
  instantMs,
  labelFilter,
  limit,
  oneOrMoreOf,
  pageOf,
  pageReply,
  poolFilter,
  sentence,
  wholeNumber,
} from "./queries.ts";
import { json, route, type AnyRoute, type Reply } from "./route.ts";
import { given, stopBody } from "./tasks.ts";
import { runSummaryOf, runViewOf } from "./views.ts";

const tag = "runs";
const byRunId = z.strictObject({ id });

export interface RunFound {
  readonly run: RunRecord;
  readonly attempts: readonly AttemptRecord[];
}

/** The run with its attempts; 404 when there is none. */
export async function findRun(parts: ApiParts, runId: string): Promise<RunFound> {
  const found = await parts.store.run(runId);
  if (!found) throw problem("not-found", `no run with id ${runId}`);
  return found;
}

const listRuns = route(
  {
    method: "get",
    path: "/runs",
    operationId: "listRuns",
    tag,
    summary: "List runs, newest first",
    permission: "runs:read",
    query: z.strictObject({
      taskId: id.optional(),
      workerId: id.optional().describe("the worker of the newest attempt"),
      state: oneOrMoreOf(runStates)
        .optional()
        .describe(`one or more of ${runStates.join(", ")}, with commas`),
      label: labelFilter,
      since: instantMs.optional().describe("made at this instant or later"),
      until: instantMs.optional().describe("made before this instant"),
      pool: poolFilter,
      limit,
      cursor,
    }),
    replies: {
      200: {
        description: "a page of runs, without payloads",
        content: { "application/json": pageOf(runSummary) },
        example: { items: [runSummaryExample], next: null },
        headers: { Link: "the next page" },
      },
    },
    problems: ["malformed"],
  },
  async ({ parts, query, request }) => {
    const { limit: most, cursor: after, state, ...wanted } = query;
    const filter = { ...given({ ...wanted, states: state }), limit: most ?? requestLimits.listDefault, cursor: after ?? null };
    const page = await parts.store.runs(filter);
    const reasonOf = await parts.plane.reasonsOf(page.items);
    return pageReply(request, page, (run) => runSummaryOf(run, reasonOf));
  },
);

const getRun = route(
  {
    method: "get",
    path: "/runs/{id}",
    operationId: "getRun",
    tag,
    summary: "Show a run, at once or when it has ended",
    permission: "runs:read",
    params: byRunId,
    query: z.strictObject({
      waitSeconds: wholeNumber(0, requestLimits.waitSecondsMax)
        .optional()
        .describe("answer when the run is terminal or after so long"),
    }),
    replies: { 200: { description: "the run", content: { "application/json": runView }, example: runViewExample } },
    problems: ["malformed", "not-found", "too-many"],
  },
  async ({ parts, params, query, request, subject }) => {
    subject.runId = params.id;
    const found = query.waitSeconds
      ? await waitForEnd(parts, params.id, query.waitSeconds, request.signal)
      : await findRun(parts, params.id);
    subject.taskId = found.run.taskId;
    return runReply(parts, found);
  },
);

/** Listens first and reads then, so that an end between the two is not missed. Nothing is asked again and again. */
async function waitForEnd(parts: ApiParts, runId: string, seconds: number, signal: AbortSignal): Promise<RunFound> {
  const bell = makeBell();
  const unhook = parts.hub.onRun(runId, (event) => {
    if (event.kind === "runEnded") bell.ring();
  });
  try {
    await parts.hub.hearing();
    const found = await findRun(parts, runId);
    if (isTerminal(found.run.state)) return found;
    await bell.heard(seconds * 1_000, signal);
    return await findRun(parts, runId);
  } finally {
    unhook();
  }
}

/**
 * The run as text. The result is JSON already, of up to 10 MiB (it was checked when it came), and is put in as it is:
 * parsing and writing it again would hold up everybody else.
 */
async function runReply(parts: ApiParts, { run, attempts }: RunFound): Promise<Reply> {
  const body = run.resultBody && (await parts.store.getBody(run.resultBody.sha256));
  if (run.resultBody && !body) throw new Error(`the result ${run.resultBody.sha256} of run ${run.id} is missing`);
  const result = body ? Buffer.from(body).toString() : (run.result ?? "null");
  const rest = JSON.stringify(runViewOf(run, attempts, await parts.plane.reasonsOf([run])));
  return { status: 200, body: `${rest.slice(0, -1)},"result":${result}}`, headers: { "content-type": "application/json" } };
}

const stopRun = route<{ id: string }, Record<never, never>, z.output<typeof stopBody>>(
  {
    method: "post",
    path: "/runs/{id}/stop",
    operationId: "stopRun",
    tag,
    summary: "Stop a run",
    description: "TERM to its process group, KILL to the whole tree after the grace. A terminal run stays as it is (200).",
    permission: "runs:stop",
    params: byRunId,
    body: {
      kind: "json",
      schema: stopBody,
      optional: true,
      types: ["application/json"],
      example: { graceSeconds: 5, reason: "bad data" },
    },
    replies: {
      200: { description: "it has ended; nothing was changed", content: { "application/json": runSummary } },
      202: {
        description: "it is being stopped",
        content: { "application/json": runSummary },
        example: { ...runSummaryExample, state: "stopping" },
      },
    },
    problems: ["malformed", "not-found", "too-large", "unsupported-type"],
  },
  async ({ parts, params, body, by, subject }) => {
    subject.runId = params.id;
    const outcome = await parts.plane.ask(await parts.pools.ofRun(params.id), {
      kind: "stopRun",
      runId: params.id,
      graceSeconds: body.graceSeconds,
      by,
      byReason: body.reason,
    });
    return summaryReply(parts, outcome.kind === "run" ? outcome.run : undefined);
  },
);

const signalBody = z.strictObject({
  signal: z.enum(signals),
  reason: sentence.nullable().default(null),
});

const signalRun = route<{ id: string }, Record<never, never>, z.output<typeof signalBody>>(
  {
    method: "post",
    path: "/runs/{id}/signal",
    operationId: "signalRun",
    tag,
    summary: "Send a signal to a running run",
    permission: "runs:stop",
    params: byRunId,
    body: { kind: "json", schema: signalBody, optional: false, types: ["application/json"], example: { signal: "SIGUSR1" } },
    replies: {
      202: { description: "the signal is on its way", content: { "application/json": runSummary }, example: runSummaryExample },
    },
    problems: ["malformed", "not-found", "too-large", "unsupported-type", "impossible"],
  },
  async ({ parts, params, body, by, subject }) => {
    subject.runId = params.id;
    const outcome = await parts.plane.ask(await parts.pools.ofRun(params.id), {
      kind: "signalRun",
      runId: params.id,
      signal: body.signal,
      by,
      byReason: body.reason,
    });
    const reply = await summaryReply(parts, outcome.kind === "run" ? outcome.run : undefined);
    return { ...reply, status: 202 };
  },
);

async function summaryReply(parts: ApiParts, run: RunRecord | undefined): Promise<Reply> {
  if (!run) throw new Error("the plane answered without a run");
  return json(isTerminal(run.state) ? 200 : 202, runSummaryOf(run, await parts.plane.reasonsOf([run])));
}

export const runRoutes: readonly AnyRoute[] = [listRuns, getRun, stopRun, signalRun];
