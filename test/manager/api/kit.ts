/** An API over a memory store and a plane that does what a test tells it. Every answer is held against the OpenAPI document. */
import { expect } from "vitest";
import { hashToken } from "../../../broker/secrets.ts";
import type { Now } from "../../../schema/given.ts";
import { silentLog, type Log } from "../../../schema/kit/log.ts";
import { problem } from "../../../schema/problem.ts";
import { makeApp, type Api } from "../../../manager/api/app.ts";
import type { ApiDeps, ApiLimits } from "../../../manager/api/deps.ts";
import type { Change } from "../../../manager/control/changes.ts";
import type { LogStore } from "../../../manager/store/logstore.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import type { Store } from "../../../manager/store/store.ts";
import { checkAnswer } from "./contract.ts";
import { fakeLogs, fakePlane, type FakePlane } from "./fakes.ts";
import type { TraceRequest } from "../../../manager/telemetry/tracing-http.ts";

export const token = "mst_good";

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

export async function rig(
  options: {
    limits?: Partial<ApiLimits>;
    publicUrl?: string;
    answered?: NonNullable<ApiDeps["answered"]>;
    traceRequest?: TraceRequest;
  } = {},
): Promise<Rig> {
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
    credentials: {
      verifyToken: (text) => (tokens.has(text) ? { name: tokens.get(text) as string } : undefined),
      holderOf: (hash) => [...tokens].filter(([text]) => hashToken(text) === hash).map(([, name]) => ({ name }))[0],
    },
    clock: { now: (): Now => ({ ...now }) },
    dice: { id: () => `id${String((ids += 1)).padStart(20, "0")}`, below: () => 0 },
    log: listeningLog(lines),
    version: "0.0.0-test",
    metrics: { text: async (format) => ({ contentType: `${format}; charset=utf-8`, body: "# EOF\n" }) },
    publicUrl: options.publicUrl ?? null,
    ...(options.answered ? { answered: options.answered } : {}),
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.traceRequest ? { traceRequest: options.traceRequest } : {}),
  });
  const lease = await store.takeLease("default", "test", null, 0);
  let batch = lease?.batch ?? 0;
  return {
    app,
    plane,
    store,
    logs,
    now,
    lines,
    tokens,
    async commit(...changes) {
      batch += 1;
      expect(await store.commit({ pool: "default", term: lease?.term ?? 1, batch, changes })).toBe("applied");
    },
    async call(method, path, { body, headers = {}, bare = false, signal } = {}) {
      const raw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
      const response = await app.request(path, {
        method,
        headers: {
          ...(bare ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined || raw ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: raw ? (body as never) : JSON.stringify(body) }),
        ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
        ...(signal ? { signal } : {}),
      });
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

/** The problem in an answer, after its form was checked. */
export async function problemIn(response: Response): Promise<{
  code: string;
  detail: string;
  errors?: { at: string; message: string }[];
  idempotencyKey?: string;
  idempotencyKeys?: string[];
  requestId?: string;
}> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = (await response.json()) as { status: number; code: string; detail: string };
  expect(body.status).toBe(response.status);
  return body;
}

export const refuse = problem;
