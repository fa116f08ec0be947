/** An API over a memory store and a plane that does what a test tells it. Every answer is held against the OpenAPI document. */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import type { Now } from "../../../schema/given.ts";
import { silentLog, type Log } from "../../../schema/kit/log.ts";
import { problem } from "../../../schema/problem.ts";
import { taskInput, type TaskInput } from "../../../schema/task.ts";
import { makeApp, type Api } from "../../../manager/api/app.ts";
import type { ApiLimits } from "../../../manager/api/deps.ts";
import { openApiDocument } from "../../../manager/api/openapi.ts";
import { routes } from "../../../manager/api/routes.ts";
import type { Change } from "../../../manager/control/changes.ts";
import type { WorkerLive } from "../../../manager/control/core.ts";
import type { Request as PlaneRequest } from "../../../manager/control/inputs.ts";
import type { Outcome } from "../../../manager/control/outputs.ts";
import type { AttemptRecord, EventRecord, RunRecord, TaskRecord, TaskVersionRecord, WorkerRecord } from "../../../manager/control/records.ts";
import type { ControlPlane } from "../../../manager/plane.ts";
import type { LogPiece, LogStore, LogStream } from "../../../manager/store/logstore.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import type { Store } from "../../../manager/store/store.ts";

export const token = "mst_good";
export const document = openApiDocument(routes, "0.0.0-test");

/** Answers requests as the test says; keeps what it was asked. */
export interface FakePlane extends ControlPlane {
  pools: string[];
  asked: { pool: string; request: PlaneRequest }[];
  answer: (pool: string, request: PlaneRequest) => Outcome | Promise<Outcome>;
  live: Record<string, WorkerLive>;
  health: Awaited<ReturnType<ControlPlane["checks"]>>;
  alarmList: { kind: string; since: number; sentence: string }[];
  isReady: boolean;
  emit(...events: EventRecord[]): void;
  readonly listeners: number;
}

function fakePlane(): FakePlane {
  const listeners = new Set<(events: readonly EventRecord[]) => void>();
  return {
    pools: ["default"],
    asked: [],
    answer: (_, request) => {
      throw new Error(`the test has no answer to ${request.kind}`);
    },
    live: {},
    health: [{ name: "store", status: "pass", sentence: "well" }],
    alarmList: [],
    isReady: true,
    async ask(pool, request) {
      this.asked.push({ pool, request });
      return await this.answer(pool, request);
    },
    reasonOf: (_, runId) => `why ${runId} waits`,
    workerLive(_, workerId) {
      return this.live[workerId] ?? null;
    },
    figures: () => null,
    alarms() {
      return this.alarmList;
    },
    async checks() {
      return this.health;
    },
    ready() {
      return { ready: this.isReady, sentence: this.isReady ? "leads" : "follows" };
    },
    onEvents(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    emit(...events) {
      for (const listener of listeners) listener(events);
    },
    get listeners() {
      return listeners.size;
    },
  };
}

/** A log store of arrays; `append` is what a worker's message does. */
export function fakeLogs(): LogStore {
  const streams = new Map<string, LogPiece[]>();
  const of = (attemptId: string, stream: LogStream): LogPiece[] => {
    const key = `${attemptId}/${stream}`;
    const pieces = streams.get(key) ?? [];
    streams.set(key, pieces);
    return pieces;
  };
  const sizeOf = (piece: LogPiece): number => (piece.kind === "bytes" ? piece.bytes.byteLength : piece.length);
  const endOf = (pieces: readonly LogPiece[]): number => pieces.reduce((end, piece) => Math.max(end, piece.offset + sizeOf(piece)), 0);
  return {
    async append(attemptId, stream, piece) {
      of(attemptId, stream).push(piece);
      return endOf(of(attemptId, stream));
    },
    async read(attemptId, stream, from, limit) {
      const found: LogPiece[] = [];
      let left = limit;
      for (const piece of of(attemptId, stream)) {
        if (piece.offset + sizeOf(piece) <= from || left <= 0) continue;
        const skip = Math.max(0, from - piece.offset);
        if (piece.kind === "gap") found.push({ ...piece, offset: piece.offset + skip, length: piece.length - skip });
        else {
          const bytes = piece.bytes.subarray(skip, skip + left);
          left -= bytes.byteLength;
          found.push({ ...piece, offset: piece.offset + skip, bytes });
        }
      }
      return { pieces: found, end: endOf(of(attemptId, stream)) };
    },
    async remove() {},
  };
}

export interface Rig {
  readonly app: Api;
  readonly plane: FakePlane;
  readonly store: Store;
  readonly logs: LogStore;
  readonly now: { mono: number; wall: number };
  readonly lines: Record<string, unknown>[];
  readonly tokens: Map<string, string>;
  /** Commits rows as a leader would. */
  commit(...changes: Change[]): Promise<void>;
  /** A request with the token; its answer is held against the document. */
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly bare?: boolean;
  readonly signal?: AbortSignal;
}

export async function rig(options: { limits?: Partial<ApiLimits>; publicUrl?: string } = {}): Promise<Rig> {
  const plane = fakePlane();
  const store = openMemoryStore();
  const logs = fakeLogs();
  const now = { mono: 1_000, wall: Date.parse("2026-11-20T12:00:00Z") };
  const lines: Record<string, unknown>[] = [];
  const tokens = new Map([[token, "ana"]]);
  let ids = 0;
  const app = makeApp({
    plane,
    store,
    logs,
    credentials: { verifyToken: (text) => (tokens.has(text) ? { name: tokens.get(text) as string } : undefined) },
    clock: { now: (): Now => ({ ...now }) },
    dice: { id: () => `id${String((ids += 1)).padStart(20, "0")}`, below: () => 0 },
    log: listeningLog(lines),
    version: "0.0.0-test",
    publicUrl: options.publicUrl ?? null,
    ...(options.limits ? { limits: options.limits } : {}),
  });
  const lease = await store.takeLease("default", "test", null, 0);
  let batch = lease?.batch ?? 0;
  return {
    app, plane, store, logs, now, lines, tokens,
    async commit(...changes) {
      batch += 1;
      expect(await store.commit({ pool: "default", term: lease?.term ?? 1, batch, changes })).toBe("applied");
    },
    async call(method, path, { body, headers = {}, bare = false, signal } = {}) {
      const raw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
      const response = await app.request(path, {
        method,
        headers: { ...(bare ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined || raw ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: raw ? (body as never) : JSON.stringify(body) }),
        ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
        ...(signal ? { signal } : {}),
      } as RequestInit);
      await checkAnswer(method, path, response);
      return response;
    },
  };
}

function listeningLog(lines: Record<string, unknown>[]): Log {
  const log = silentLog();
  const take = (fields: Record<string, unknown>, text: string): void => void lines.push({ ...fields, text });
  return Object.assign(log, { info: take, error: take });
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema({ $id: "doc", ...document });
const validators = new Map<string, ReturnType<typeof ajv.compile>>();
const pathsOf = document["paths"] as Record<string, Record<string, { responses: Record<string, { content?: Record<string, unknown> }> }>>;

/** Fails unless the document knows the operation, the status and the content of the answer. */
export async function checkAnswer(method: string, address: string, response: Response): Promise<void> {
  const path = address.split("?", 1)[0] as string;
  const pattern = Object.keys(pathsOf).find((p) => new RegExp(`^${p.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path) && pathsOf[p]?.[method === "HEAD" ? "get" : method.toLowerCase()]);
  if (pattern === undefined || method === "HEAD") return;
  const key = method.toLowerCase();
  const answer = pathsOf[pattern]?.[key]?.responses[String(response.status)];
  expect(answer, `${method} ${pattern} does not document ${response.status}: ${response.status >= 400 ? await response.clone().text() : ""}`).toBeDefined();
  const type = response.headers.get("content-type")?.split(";", 1)[0];
  if (type === undefined || type === null) return expect(answer?.content).toBeUndefined();
  expect(Object.keys(answer?.content ?? {}), `${method} ${pattern} ${response.status}`).toContain(type);
  if (!type.endsWith("json") || type === "application/x-ndjson") return;
  const pointer = ["paths", pattern, key, "responses", String(response.status), "content", type, "schema"].map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1"));
  const ref = `doc#/${pointer.map(encodeURIComponent).join("/")}`;
  const validate = validators.get(ref) ?? ajv.compile({ $ref: ref });
  validators.set(ref, validate);
  const body: unknown = await response.clone().json();
  expect(validate(body), `${method} ${pattern} ${response.status}: ${ajv.errorsText(validate.errors)} ${JSON.stringify(validate.errors?.map((e) => e.params))}`).toBe(true);
}

/** The problem in an answer, after its form was checked. */
export async function problemIn(response: Response): Promise<{ code: string; detail: string; errors?: { at: string; message: string }[]; idempotencyKey?: string; idempotencyKeys?: string[]; requestId?: string }> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = (await response.json()) as { status: number; code: string; detail: string };
  expect(body.status).toBe(response.status);
  return body;
}

export const refuse = problem;

export function taskOf(input: Partial<TaskInput> = {}): TaskInput {
  return { name: "hello", run: { driver: "script", interpreter: "sh", script: "echo hi" }, ...input } as TaskInput;
}

export function taskRow(over: Partial<TaskRecord> = {}): TaskRecord {
  return { id: "t1", pool: "default", createdAt: 1, name: "hello", version: 1, labels: {}, kind: "batch", updatedAt: 1, deleted: false, ...over };
}

export function versionRow(over: Partial<TaskVersionRecord> = {}, input: Partial<TaskInput> = {}): TaskVersionRecord {
  return { taskId: "t1", version: 1, definition: taskInput.parse(taskOf(input)), body: null, script: null, createdAt: 1, by: "ana", byReason: null, ...over };
}

export function runRow(over: Partial<RunRecord> = {}): RunRecord {
  return {
    id: "r1", pool: "default", taskId: "t1", taskVersion: 1, taskName: "hello", order: 1, params: {}, labels: {}, wantedWorkerId: null, createdAt: 1_000,
    by: "ana", byReason: null, rerunOf: null, trace: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, state: "queued", workerId: null, startedAt: null, endedAt: null,
    end: null, placements: 0, tries: 0, stop: null, result: null, resultBody: null, progress: null, ...over,
  };
}

export function attemptRow(over: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    id: "a1", runId: "r1", taskId: "t1", pool: "default", number: 1, workerId: "w1", epoch: "journal00000.1.nonce0000000", sentAt: 1_000, state: "running",
    startedAt: 1_100, endedAt: null, pid: 42, end: null, ...over,
  };
}

export function workerRow(over: Partial<WorkerRecord> = {}): WorkerRecord {
  return {
    id: "w1", pool: "default", createdAt: 1, epoch: null, connection: 0, facts: null, ownLabels: { zone: "a" }, apiLabels: {}, capacity: null, draining: false,
    survives: null, http: null, state: "online", stateSince: 1, lastSeenAt: null, ...over,
  };
}

export function eventRow(number: number, over: Partial<EventRecord> = {}): EventRecord {
  return { pool: "default", number, at: 1_000 + number, kind: "runQueued", taskId: "t1", runId: "r1", attemptId: null, workerId: null, by: null, data: {}, ...over };
}
