/** The spans of an engine that really runs, of requests through the real app, and of the commands that leave. */
import { expect, test } from "vitest";
import type { Connection } from "../../../broker/broker.ts";
import type { StartItem } from "../../../manager/control/inputs.ts";
import { Outbox } from "../../../manager/link/outbox.ts";
import { traceBatches } from "../../../manager/telemetry/tracing-batch.ts";
import { traceRequests } from "../../../manager/telemetry/tracing-http.ts";
import { traceDownlinks } from "../../../manager/telemetry/tracing-wire.ts";
import { tracingLimits } from "../../../schema/limits/tracing.ts";
import { commandsEnvelope, type DownItem, type Report } from "../../../schema/messages.ts";
import { spanRecorder, type Recorder } from "../../kit/spans.ts";
import { until } from "../../kit/until.ts";
import { rig as apiRig } from "../api/kit.ts";
import { runRow } from "../api/rows.ts";
import { createTask, hello, makeRig, type Rig } from "../engine/rig.ts";
import { startOf as wireStart } from "../../worker/agent/kit.ts";

const traceId = "4b".repeat(16);
const request = `00-${traceId}-${"1".repeat(16)}-01`;
const report = `00-${traceId}-${"2".repeat(16)}-01`;
const wire = { prefix: "muster", clientId: "manager" };
const heard = "process muster/v1/{pool}/{worker}/up/reports";

async function tracedEngine(): Promise<{ readonly rig: Rig; readonly spans: Recorder }> {
  const spans = spanRecorder();
  // The engine is made with its watch, which looks at the engine.
  const made: { rig?: Rig } = {};
  const rig = await makeRig({ watch: traceBatches({ tracing: spans, wire, stateOf: () => made.rig?.engine.lead?.state }) });
  made.rig = rig;
  const task = createTask("t");
  if (task.kind === "createTask") {
    const retry = { attempts: 2, on: ["failed" as const], backoffSeconds: 0 };
    await rig.engine.ask({ ...task, store: { ...task.store, definition: { ...task.store.definition, retry } } });
  }
  rig.engine.post(hello("w"), 100);
  return { rig, spans };
}

async function startRun(rig: Rig, more: Partial<StartItem> = {}): Promise<void> {
  const item = {
    mayExist: false,
    runId: "r",
    taskId: "id-t",
    params: {},
    labels: {},
    workerId: null,
    idempotencyKey: null,
    bodyHash: "",
  };
  await rig.engine.ask({ kind: "startRun", item: { ...item, trace: request, ...more }, by: "tester", byReason: null });
}

const live = (rig: Rig) => rig.engine.lead?.state.attempts.values().next().value?.row;

let mono = 2_000;
function say(rig: Rig, items: readonly Report[]): void {
  mono += 1_000;
  const message = {
    epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB",
    connection: 1,
    mono,
    journal: "AAAAAAAAAAAA",
    items: [...items],
    unreadable: [],
  };
  rig.engine.post({ kind: "reports", workerId: "w", message }, 100);
}

test("a run with a retry: its waits, its commits, what was heard of it, and the whole of it", async () => {
  const { rig, spans } = await tracedEngine();
  await startRun(rig);
  const first = await until("the first attempt", () => live(rig));
  const about = { attempt: first.id, start: 1, at: 1, trace: report };
  say(rig, [
    { ...about, seq: 1, kind: "accepted" },
    { ...about, seq: 2, kind: "end", end: { how: "exited", code: 1 } },
  ]);
  const second = await until("the second attempt", () => live(rig)?.number === 2 && live(rig));
  // A worker that makes no spans says no context.
  say(rig, [{ seq: 3, attempt: second.id, start: 1, at: 1, kind: "end", end: { how: "exited", code: 2 } }]);
  const [whole] = await until("the run's span", () => spans.named("run").length === 1 && spans.named("run"));
  expect(whole).toMatchObject({
    parent: request,
    error: "failed",
    attributes: {
      "muster.run.id": "r",
      "muster.run.state": "failed",
      "muster.run.tries": 2,
      "process.exit.code": 2,
      "muster.task.name": "t",
    },
  });
  expect(spans.named("wait in queue").map(({ parent, attributes }) => [parent, attributes?.["muster.attempt.number"]])).toEqual([
    [request, 1],
    [request, 2],
  ]);
  const [consumed] = spans.named(heard);
  expect(spans.named(heard)).toHaveLength(1);
  expect(consumed).toMatchObject({
    kind: "consumer",
    parent: report,
    remote: true,
    attributes: { "muster.reports": ["accepted", "end"], "muster.attempt.id": first.id },
  });
  const commits = spans.named("commit");
  expect(commits.filter((span) => span.parent === consumed?.traceparent)).toHaveLength(1);
  // Made (and placed at once), its second attempt, its end; the end of the first attempt stands below its report.
  expect(commits.filter((span) => span.parent === request).length).toBeGreaterThanOrEqual(2);
});

test("a run that is not sampled makes no span, whatever its reports say", async () => {
  const { rig, spans } = await tracedEngine();
  await startRun(rig, { trace: request.replace(/..$/, "00") });
  const attempt = await until("the attempt", () => live(rig));
  say(rig, [{ seq: 1, attempt: attempt.id, start: 1, at: 1, kind: "end", end: { how: "exited", code: 0 }, trace: "nonsense" }]);
  await until("its end", () => rig.events.some((event) => event.kind === "runEnded"));
  expect(spans.spans).toEqual([]);
});

test("a request: named by its route, below its caller, with its answer; only our own failure is an error", async () => {
  const spans = spanRecorder();
  const r = await apiRig({ traceRequest: traceRequests(spans) });
  await r.call("GET", "/tasks/none?secret=1", { headers: { traceparent: request, tracestate: "a=b", "user-agent": "curl" } });
  const [span] = spans.named("GET /tasks/{id}");
  expect(span).toMatchObject({
    kind: "server",
    parent: request,
    remote: true,
    tracestate: "a=b",
    attributes: {
      "http.request.method": "GET",
      "http.route": "/tasks/{id}",
      "url.path": "/tasks/none",
      "user_agent.original": "curl",
      "user.name": "ana",
    },
  });
  expect(span?.error).toBeUndefined();
  expect(JSON.stringify(spans.spans)).not.toContain("secret");
  expect(r.lines.at(-1)).toMatchObject({ route: "/tasks/{id}", traceId });
  await r.call("GET", "/nothing/at/all");
  expect(spans.spans.at(-1)).toMatchObject({ name: "GET", attributes: { "http.response.status_code": 404 } });
  r.plane.ask = () => Promise.reject(new Error("broken"));
  await r.call("POST", "/tasks/t1/stop");
  expect(spans.spans.at(-1)).toMatchObject({ name: "POST /tasks/{id}/stop", parent: null, error: expect.any(String) });
});

test("runs stand below the request that made them; of very many each has its own root, and links to it", async () => {
  const spans = spanRecorder();
  const r = await apiRig({ traceRequest: traceRequests(spans) });
  const traces = async (runs: number, headers: Record<string, string> = {}): Promise<string[]> => {
    let found: string[] = [];
    r.plane.ask = async (_, asked) => {
      if (asked.kind !== "startRuns") throw new Error(asked.kind);
      found = asked.items.map((item) => item.trace);
      return {
        kind: "runs",
        items: asked.items.map((item) => ({ ok: true, repeated: false, run: runRow({ id: item.runId, trace: item.trace }) })),
      };
    };
    await r.call("POST", "/runs", { headers, body: { items: Array.from({ length: runs }, () => ({ taskId: "t1" })) } });
    return found;
  };
  const few = await traces(tracingLimits.runsPerTrace);
  expect(new Set(few)).toEqual(new Set([spans.named("POST /runs")[0]?.traceparent]));
  const many = await traces(tracingLimits.runsPerTrace + 1);
  const roots = spans.named("start run");
  expect(roots.map((span) => span.traceparent)).toEqual(many);
  expect(new Set(many.map((trace) => trace.slice(3, 35))).size).toBe(many.length);
  expect(new Set(roots.flatMap((span) => span.links ?? []))).toEqual(new Set([spans.named("POST /runs")[1]?.traceparent]));
  const unsampled = await traces(tracingLimits.runsPerTrace + 1, { traceparent: request.replace(/..$/, "00") });
  expect(unsampled.every((trace) => trace.endsWith("-00"))).toBe(true);
  expect(spans.named("start run")).toHaveLength(many.length);
});

test("a repeated start gives the run of the first, in whose trace it is, and links to it", async () => {
  const spans = spanRecorder();
  const r = await apiRig({ traceRequest: traceRequests(spans) });
  r.plane.ask = async () => ({ kind: "run", repeated: true, run: runRow({ id: "first", trace: request }) });
  await r.call("POST", "/tasks/t1/start", { headers: { "idempotency-key": "k" } });
  expect(spans.named("POST /tasks/{id}/start")[0]).toMatchObject({ linked: [request], attributes: { "muster.run.id": "first" } });
});

test("each start, stop and signal of a sampled run has its span until the broker took its message, and its context in it", async () => {
  const spans = spanRecorder();
  const contexts = new Map([["a1", request]]);
  const outbox = new Outbox(
    "muster",
    () => undefined,
    traceDownlinks(spans, wire, (_, attempt) => contexts.get(attempt)),
  );
  const taken: { payload: Uint8Array; done: () => void }[] = [];
  const connection = {
    publish: (_: string, payload: Uint8Array) => new Promise<void>((done) => taken.push({ payload, done })),
  } as unknown as Connection;
  outbox.use(connection);
  const stop: DownItem = { kind: "stop", attempt: "a1", by: "ana", graceSeconds: 1 };
  const start = wireStart("a1", { trace: request, env: { TRACEPARENT: request, A: "b" } });
  const quiet = wireStart("a2", { trace: request.replace(/..$/, "00"), env: {} });
  const ack: DownItem = { kind: "ack", journal: "AAAAAAAAAAAA", seq: 1 };
  const asOf = { epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB", mono: 7 };
  outbox.send({ pool: "default", workerId: "w", term: 1, asOf, items: [start, quiet, ack, stop, { ...stop, attempt: "a2" }] });
  expect(spans.spans).toEqual([]);
  taken[0]!.done();
  await until("the spans", () => spans.spans.length === 2);
  expect(spans.spans.map(({ name, kind, parent, error }) => ({ name, kind, parent, error }))).toEqual(
    Array.from({ length: 2 }, () => ({
      name: "publish muster/v1/{pool}/{worker}/down/commands",
      kind: "producer",
      parent: request,
      error: undefined,
    })),
  );
  const [begun, stopped] = spans.spans;
  const items = commandsEnvelope.parse(JSON.parse(Buffer.from(taken[0]!.payload).toString())).items;
  expect(items).toEqual([
    { ...start, trace: begun?.traceparent, env: { TRACEPARENT: begun?.traceparent, A: "b" } },
    quiet,
    ack,
    { ...stop, trace: stopped?.traceparent },
    { ...stop, attempt: "a2" },
  ]);
  outbox.use(undefined);
  outbox.send({ pool: "default", workerId: "w", term: 1, asOf, items: [start] });
  expect(spans.spans.at(-1)).toMatchObject({ error: "not_published" });
});
