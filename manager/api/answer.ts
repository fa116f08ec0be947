/** One request's way: admit, check, handle, answer, log. The same for every route. */
import { requestLimits } from "../../schema/limits.ts";
import { problem, ProblemError } from "../../schema/problem.ts";
import { traceIdOf } from "../../schema/trace.ts";
import { admit, endWithAdmission } from "./auth.ts";
import { jsonOf, mediaType, mustBeOf, readBytes } from "./body.ts";
import type { ApiParts } from "./deps.ts";
import { parsed, replyOfError } from "./problem.ts";
import type { AnyRoute, BodySpec, Call, Permission, Reply, Subject } from "./route.ts";
import { notTakenFor } from "./store-trouble.ts";
import type { Streamed } from "./streams.ts";

/** What a request is answered by: a route, or nothing (404, 405). */
export interface Target {
  /** The route's pattern, for the log. */
  readonly pattern: string;
  /** Whether there is a route at all. */
  readonly isRoute: boolean;
  /** Undefined: no route; known callers are then told so, all others only that a token is needed. */
  readonly permission: Permission | undefined;
  readonly handle: (call: Call<unknown, unknown, unknown>, read: Reader, pathParams: PathParams) => Promise<Reply> | Reply;
}

/** The parameters of the path, decoded; asked for only when the caller has been let in. */
type PathParams = () => Record<string, string>;

/** Fills in what has been checked. */
type Reader = (checked: { params?: unknown; query?: unknown; body?: unknown }) => Call<unknown, unknown, unknown>;

/** The target of a route. */
export function targetOf(route: AnyRoute): Target {
  const { spec } = route;
  return {
    pattern: spec.path,
    isRoute: true,
    permission: spec.permission,
    async handle(call, read, pathParams) {
      const params = spec.params ? parsed(spec.params, pathParams(), "parameter") : {};
      const query = queryOf(route, call.request.url);
      const bound = route.guard ? await route.guard(read({ params, query })) : {};
      const body = spec.body ? await bodyOf(spec.body, call.request, bound.maxBytes) : undefined;
      return route.handle(read({ params, query, body }));
    },
  };
}

/** Answers the request and logs it as one line. Never rejects. */
export async function answer(parts: ApiParts, target: Target, request: Request, pathParams: PathParams): Promise<Response> {
  const startedMs = parts.clock.now().mono;
  const requestId = parts.requestId();
  const span = parts.traceRequest?.(request, target.isRoute ? target.pattern : undefined);
  const subject: Subject = {};
  let by = "";
  let outcome: string = "ok";
  let reply: Reply;
  let streamed: Streamed | undefined;
  try {
    const admitted = admit(parts, target.permission, request);
    by = typeof admitted === "string" ? admitted : await admitted;
    const bare: Call<unknown, unknown, unknown> = {
      parts,
      request,
      params: {},
      query: {},
      body: undefined,
      by,
      subject,
      span,
      header: (name) => request.headers.get(name) ?? undefined,
    };
    reply = await target.handle(bare, (checked) => ({ ...bare, ...checked }), pathParams);
    if (request.method !== "HEAD") streamed = reply.stream?.();
  } catch (cause) {
    // A read asks for nothing, so that nothing was taken is always true of it.
    const error = request.method === "GET" || request.method === "HEAD" ? notTakenFor(cause) : cause;
    const failed = replyOfError(error, requestId);
    outcome = failed.code;
    if (!(error instanceof ProblemError)) parts.log.error({ err: error, requestId, route: target.pattern }, "a request failed");
    reply = failed;
  }
  const traceId = span?.traceId ?? traceIdOf(request.headers.get("traceparent") ?? undefined);
  const log = (how: string): void => {
    span?.end({ status: reply.status, outcome: how, tokenName: by, subject, requestId });
    parts.log.info(
      {
        method: request.method,
        route: target.pattern,
        status: reply.status,
        durationMs: Math.round((parts.clock.now().mono - startedMs) * 1_000) / 1_000,
        outcome: how,
        ...(by === "" ? {} : { tokenName: by }),
        ...subject,
        requestId,
        ...(traceId === undefined ? {} : { traceId }),
      },
      "request",
    );
  };
  parts.answered?.({
    method: request.method,
    pattern: target.pattern,
    status: reply.status,
    durationMs: parts.clock.now().mono - startedMs,
    streamed: streamed !== undefined,
  });
  const headers = { ...parts.headers, ...reply.headers, "x-request-id": requestId };
  if (streamed) {
    endWithAdmission(parts, target.permission, request, streamed);
    void logAtEnd(streamed, log);
    return new Response(streamed.body, { status: reply.status, headers });
  }
  log(outcome);
  return new Response(reply.body ?? null, { status: reply.status, headers });
}

async function logAtEnd(streamed: Streamed, log: (how: string) => void): Promise<void> {
  log((await streamed.closed) ? "ok" : "left");
}

function queryOf(route: AnyRoute, url: string): unknown {
  const mark = url.indexOf("?");
  const given: Record<string, string> = Object.create(null) as Record<string, string>;
  if (mark >= 0) {
    for (const [name, value] of new URLSearchParams(url.slice(mark))) {
      if (name in given)
        throw problem("malformed", `the parameter ${name} is given twice`, { errors: [{ at: name, message: "is given twice" }] });
      given[name] = value;
    }
  }
  if (route.spec.query) return parsed(route.spec.query, { ...given }, "parameter");
  const unknown = Object.keys(given);
  if (unknown.length === 0) return {};
  throw problem("malformed", `unknown parameter ${unknown[0]}; this route takes none`, {
    errors: unknown.slice(0, requestLimits.fieldErrors).map((at) => ({ at, message: "is not a known parameter" })),
  });
}

async function bodyOf(spec: BodySpec<unknown>, request: Request, maxBytes = Number.POSITIVE_INFINITY): Promise<unknown> {
  const type = mediaType(request);
  if (spec.kind === "bytes") {
    mustBeOf(spec.types, type);
    return readBytes(request, Math.min(spec.maxBytes, maxBytes));
  }
  const bytes = await readBytes(request, requestLimits.bodyBytes);
  if (bytes.byteLength === 0) {
    if (spec.optional) return parsed(spec.schema, {}, "body");
    throw problem("malformed", "a JSON body is needed");
  }
  mustBeOf(spec.types, type);
  return parsed(spec.schema, jsonOf(bytes), "body");
}
