import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processSpanId } from "../../schema/trace.ts";
import { jsonLines } from "../kit/json-lines.ts";
import { orphansIn, OtlpReceiver, type SeenSpan } from "../kit/otlp.ts";
import { freePorts } from "../kit/ports.ts";
import { sweep } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";

const root = resolve(import.meta.dirname, "../..");
const token = "t".repeat(40);
const folder = mkdtempSync(join(tmpdir(), "muster-tracing-"));
let receiver: OtlpReceiver;
let system: ChildProcess;
let base: string;
let said = "";

/** Answers of the API, looked at field by field. */
type Json = any;

async function api(
  method: string,
  path: string,
  options: { body?: object; headers?: Record<string, string> } = {},
): Promise<Json> {
  const response = await fetch(base + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(options.body ? { "content-type": "application/json" } : {}),
      ...options.headers,
    },
    ...(options.body ? { body: JSON.stringify(options.body) } : {}),
  });
  return await response.json();
}

async function makeTask(name: string, script: string, more: object = {}): Promise<string> {
  const run = { driver: "script", interpreter: "sh", script };
  return (await api("PUT", `/tasks/by-name/${name}`, { body: { run, ...more } })).id;
}

async function ended(runId: string): Promise<Json> {
  return await until("the end of the run", async () => {
    const run = await api("GET", `/runs/${runId}?waitSeconds=10`);
    return run.endedAt !== null && run;
  });
}

/** What an attempt wrote, once it is here. */
async function output(runId: string, attempt: number): Promise<string> {
  return await until("the output", async () => {
    const response = await fetch(`${base}/runs/${runId}/logs?attempt=${attempt}&stream=stdout`, {
      headers: { authorization: `Bearer ${token}`, accept: "text/plain" },
    });
    return (await response.text()).trim() || undefined;
  });
}

/** A trace once all its spans that are listed, by service and name, have come, and the parents of all that came. */
async function whole(traceId: string, names: readonly string[]): Promise<readonly SeenSpan[]> {
  await until(`${names.join(", ")}; came: ${namesOf(traceId).join(", ")}`, () => {
    const missing = [...names];
    for (const name of namesOf(traceId)) if (missing.includes(name)) missing.splice(missing.indexOf(name), 1);
    return missing.length === 0 && orphansIn(receiver.trace(traceId)).length <= 1;
  });
  return receiver.trace(traceId);
}

const namesOf = (traceId: string): string[] => receiver.trace(traceId).map((span) => `${span.service.slice(7)} ${span.name}`);

function one(spans: readonly SeenSpan[], name: string, match: Record<string, unknown> = {}): SeenSpan {
  const found = spans.filter(
    (span) => span.name === name && Object.entries(match).every(([key, value]) => span.attributes[key] === value),
  );
  expect(
    found.map((span) => span.attributes),
    name,
  ).toHaveLength(1);
  return found[0]!;
}

const brought = (span: SeenSpan, report: string): boolean =>
  (span.attributes["muster.reports"] as string[] | undefined)?.includes(report) === true;

/** How the worker took the attempt's start. It may have come once more, when somebody stood still for long enough. */
function obeyed(spans: readonly SeenSpan[], attempt: string): SeenSpan {
  const taken = spans.filter(({ name, attributes }) => {
    const outcome = attributes["muster.outcome"] as string[] | undefined;
    return name === `process ${commands}` && attributes["muster.attempt.id"] === attempt && !outcome?.includes("nothing new");
  });
  expect(taken).toHaveLength(1);
  return taken[0]!;
}

/** Every parent exists but that of the one root, and no span begins before its parent does. */
function expectTree(spans: readonly SeenSpan[], rootParent: string): void {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  expect(byId.size, "no span comes twice").toBe(spans.length);
  expect(orphansIn(spans).map((span) => [span.name, span.parentSpanId])).toEqual([
    [spans.find((span) => span.kind === 2)!.name, rootParent],
  ]);
  // Instants of the store and of the host's processes are whole milliseconds, or ticks of ten.
  for (const span of spans) {
    const parent = byId.get(span.parentSpanId);
    if (parent) expect(Number(span.startNano - parent.startNano) / 1e6, `${span.name} below ${parent.name}`).toBeGreaterThan(-20);
    expect(span.endNano >= span.startNano).toBe(true);
  }
}

const commands = "muster/v1/{pool}/{worker}/down/commands";
const reports = "muster/v1/{pool}/{worker}/up/reports";
const server = "manager POST /tasks/{id}/start";
const once = [
  "manager wait in queue",
  `manager publish ${commands}`,
  `worker process ${commands}`,
  "worker journal",
  "worker execute",
  `worker publish ${reports}`,
  `manager process ${reports}`,
];

beforeAll(async () => {
  receiver = await OtlpReceiver.start();
  const [http, mqtt] = await freePorts(2);
  base = `http://127.0.0.1:${http}`;
  system = spawn(process.execPath, ["scripts/start.ts"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      MUSTER_DATA_DIR: join(folder, "data"),
      MUSTER_HTTP_PORT: String(http),
      MUSTER_BROKER_PORT: String(mqtt),
      MUSTER_ADMIN_TOKEN: token,
      ...receiver.env,
    },
  });
  for (const stream of [system.stdout, system.stderr]) stream!.on("data", (text) => (said += text));
  await until(
    "the worker",
    async () => {
      if (system.exitCode !== null) throw new Error(said);
      const workers = await api("GET", "/workers").catch(() => ({ items: [] }));
      return workers.items?.some((worker: Json) => worker.state === "online");
    },
    60_000,
  );
});

afterAll(async () => {
  const gone = new Promise((done) => system.once("exit", done));
  if (system.exitCode === null && system.kill("SIGINT")) await gone;
  sweep(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  await receiver[Symbol.asyncDispose]();
});

test("a retried run is one whole trace below its caller's span, over both services and into the programs", async () => {
  const taskId = await makeTask("retried", 'echo "$TRACEPARENT"; test "$MUSTER_ATTEMPT" = 2', {
    retry: { attempts: 2, backoffSeconds: 0.05 },
  });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const caller = "00f067aa0ba902b7";
  const headers = { traceparent: `00-${traceId}-${caller}-01`, tracestate: "vendor=opaque" };
  const started = await api("POST", `/tasks/${taskId}/start`, { headers });
  expect(started.traceId).toBe(traceId);
  const run = await ended(started.id);
  expect(run).toMatchObject({ state: "succeeded", traceId });
  expect(run.attempts).toHaveLength(2);

  const spans = await whole(traceId, [server, "manager run", ...once, ...once]);
  expectTree(spans, caller);
  const request = one(spans, "POST /tasks/{id}/start");
  expect(request).toMatchObject({ kind: 2, status: 0, traceState: "vendor=opaque", service: "muster-manager" });
  expect(request.attributes).toMatchObject({
    "http.request.method": "POST",
    "http.route": "/tasks/{id}/start",
    "http.response.status_code": 202,
    "muster.run.id": run.id,
  });
  expect(one(spans, "run")).toMatchObject({
    parentSpanId: request.spanId,
    status: 0,
    attributes: { "muster.run.state": "succeeded", "muster.run.tries": 2 },
  });

  for (const { id, number } of run.attempts) {
    const consumed = obeyed(spans, id);
    expect(consumed).toMatchObject({ kind: 5, service: "muster-worker" });
    expect(spans.find((span) => span.spanId === consumed.parentSpanId)).toMatchObject({
      name: `publish ${commands}`,
      kind: 4,
      parentSpanId: request.spanId,
      service: "muster-manager",
      attributes: { "muster.attempt.id": id },
    });
    expect(consumed.attributes).toMatchObject({
      "messaging.system": "mqtt",
      "messaging.destination.template": commands,
      "muster.worker.id": "local",
    });
    const execute = one(spans, "execute", { "muster.attempt.id": id });
    expect(execute).toMatchObject({
      parentSpanId: consumed.spanId,
      status: number === 1 ? 2 : 0,
      attributes: { "process.exit.code": number === 1 ? 1 : 0 },
    });
    expect(await output(run.id, number)).toBe(`00-${traceId}-${execute.spanId}-01`);
    const told = spans.filter((span) => span.name === `publish ${reports}` && span.attributes["muster.attempt.id"] === id);
    expect(new Set(told.map((span) => span.parentSpanId))).toEqual(new Set([consumed.spanId]));
    const heard = spans.filter((span) => span.name === `process ${reports}` && span.attributes["muster.attempt.id"] === id);
    // What is told again has been heard already.
    expect(told.map((span) => span.spanId)).toEqual(expect.arrayContaining(heard.map((span) => span.parentSpanId)));
    const last = heard.find((span) => brought(span, "end"))!;
    const commits = await until("its commit", () => {
      const found = receiver.trace(traceId).filter(({ name, parentSpanId }) => name === "commit" && parentSpanId === last.spanId);
      return found.length > 0 && found;
    });
    expect(commits.map((span) => span.service)).toEqual(["muster-manager"]);
  }
  const service = (name: string): Record<string, unknown> => spans.find((span) => span.service === name)!.resource;
  expect(service("muster-worker")).toMatchObject({ "service.instance.id": "local", "service.version": "0.1.0" });
  expect(service("muster-manager")["service.instance.id"]).toMatch(/^manager-/);
});

test("an agent that was killed leaves the process to its successor, which ends the same span, once", async () => {
  const gate = join(folder, "gate");
  const taskId = await makeTask("long", `echo "$TRACEPARENT"; while [ ! -e ${gate} ]; do sleep 0.05; done; exit 3`);
  const started = await api("POST", `/tasks/${taskId}/start`);
  const { traceId } = started;
  const attempt = await until("it runs", async () => {
    const run = await api("GET", `/runs/${started.id}`);
    return run.state === "running" && run.attempts[0].id;
  });
  // Whatever the first agent had to say is here: what it has not sent yet goes with it.
  await whole(traceId, [server, `worker process ${commands}`, "worker journal"]);
  await until("the report that it runs, with the span that it was sent in", () => {
    const spans = receiver.trace(traceId);
    return spans.some((span) => brought(span, "running")) && orphansIn(spans).length === 1;
  });
  const pid = (): number => JSON.parse(readFileSync(join(folder, "data/worker/state.json"), "utf8")).pid;
  const first = pid();
  process.kill(first, "SIGKILL");
  await until("its successor", () => pid() !== first);
  writeFileSync(gate, "");
  expect(await ended(started.id)).toMatchObject({ state: "failed", end: { how: "exited", code: 3 } });
  const spans = await whole(traceId, [server, "manager run", ...once]);
  expectTree(spans, "");
  const consumed = obeyed(spans, attempt);
  const execute = one(spans, "execute");
  expect(execute).toMatchObject({ spanId: processSpanId(attempt), parentSpanId: consumed.spanId, status: 2 });
  expect(await output(started.id, 1)).toBe(`00-${traceId}-${execute.spanId}-01`);
  expect(one(spans, "run")).toMatchObject({ status: 2, attributes: { "muster.run.state": "failed" } });
});

test("what the caller does not sample is in no span, also not of the worker, and the program is told so", async () => {
  const taskId = await makeTask("quiet", 'echo "$TRACEPARENT"');
  const traceId = "5bf92f3577b34da6a3ce929d0e0e4736";
  const started = await api("POST", `/tasks/${taskId}/start`, { headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-00` } });
  expect(started.traceId).toBe(traceId);
  await ended(started.id);
  expect(await output(started.id, 1)).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  // A sampled run after it, whole: whatever the first had made would have come before.
  const after = await api("POST", `/tasks/${taskId}/start`);
  await ended(after.id);
  await whole(after.traceId, [server, "manager run", ...once]);
  expect(namesOf(traceId)).toEqual([]);
});

test("a bulk of many gives each run a trace of its own, linked to the request, and loses no span", async () => {
  const taskId = await makeTask("many", "exit 0");
  const items = Array.from({ length: 40 }, () => ({ taskId }));
  const answer = await api("POST", "/runs", { body: { items } });
  const runs = answer.items.map((item: Json) => item.run);
  for (const run of runs) await ended(run.id);
  expect(new Set(runs.map((run: Json) => run.traceId)).size).toBe(40);
  for (const run of runs) {
    const spans = await whole(run.traceId, ["manager start run", "manager commit", "manager run", ...once]);
    const start = one(spans, "start run");
    expect(start).toMatchObject({ parentSpanId: "", attributes: { "muster.run.id": run.id } });
    const request = receiver.spans.find((span) => span.spanId === start.links[0]?.spanId);
    expect(request?.name).toBe("POST /runs");
    expect(orphansIn(spans).map((span) => span.name)).toEqual(["start run"]);
  }
});

test("the access log names the trace", () => {
  const lines = jsonLines(join(folder, "data/system/manager.log"));
  const line = lines.find((each) => each.traceId === "4bf92f3577b34da6a3ce929d0e0e4736");
  expect(line).toMatchObject({ msg: "request", route: "/tasks/{id}/start", status: 202 });
});
