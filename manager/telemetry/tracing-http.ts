/**
 * The span of a request. Source: OpenTelemetry's semantic conventions for HTTP server spans. The query is left out: a token
 * that somebody puts there by mistake must not lie in another system.
 */
import type { OpenSpan, Tracing } from "../../schema/kit/tracing.ts";
import { tracingLimits } from "../../schema/limits/tracing.ts";
import { parseTraceparent, traceIdOf } from "../../schema/trace.ts";

export interface RequestSpan {
  readonly traceId: string;
  /** What the runs that this request makes continue. */
  readonly traceparent: string;
  /**
   * The trace of one run of very many: its own, from a root span that links to the request, because a trace of thousands of
   * runs can be read by nobody. `suggested` names its ids. A request that is not sampled makes none that are.
   */
  rootOf(runId: string, suggested: string): string;
  /** The request was about this run; one of another trace is linked. */
  about(run: { readonly trace: string }): void;
  end(answer: RequestEnd): void;
}

export interface RequestEnd {
  readonly status: number;
  /** The problem's code, or how a stream ended; "ok". */
  readonly outcome: string;
  readonly tokenName: string;
  readonly subject: Readonly<{ taskId?: string; runId?: string; workerId?: string; attemptId?: string }>;
  readonly requestId: string;
}

/** `route` is the pattern, undefined where there is none. */
export type TraceRequest = (request: Request, route: string | undefined) => RequestSpan;

// Any client may send any word as the method, and a name must be of low cardinality.
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]);

export function traceRequests(tracing: Tracing): TraceRequest {
  return (request, route) => {
    const startMs = tracing.at();
    const url = new URL(request.url);
    const method = methods.has(request.method) ? request.method : "_OTHER";
    const named = method === "_OTHER" ? "HTTP" : method;
    const parent = request.headers.get("traceparent") ?? undefined;
    const known = traceIdOf(parent) === undefined ? undefined : parent;
    const tracestate = request.headers.get("tracestate");
    const agent = request.headers.get("user-agent");
    const span = tracing.open({
      name: route === undefined ? named : `${named} ${route}`,
      kind: "server",
      parent: known ?? null,
      remote: true,
      ...(known !== undefined && tracestate !== null ? { tracestate } : {}),
      startMs,
      attributes: {
        "http.request.method": method,
        "url.path": url.pathname.slice(0, tracingLimits.textChars),
        "url.scheme": url.protocol.slice(0, -1),
        "server.address": url.hostname,
        ...(url.port === "" ? {} : { "server.port": Number(url.port) }),
        ...(route === undefined ? {} : { "http.route": route }),
        ...(agent === null ? {} : { "user_agent.original": agent.slice(0, tracingLimits.textChars) }),
      },
    });
    return requestSpan(tracing, span, startMs);
  };
}

function requestSpan(tracing: Tracing, span: OpenSpan, startMs: number): RequestSpan {
  const { traceparent } = span;
  const traceId = traceparent.slice(3, 35);
  return {
    traceId,
    traceparent,
    rootOf(runId, suggested) {
      const ids = parseTraceparent(suggested);
      if (!span.sampled) return suggested.replace(/..$/, "00");
      const root = tracing.open({
        name: "start run",
        kind: "internal",
        parent: null,
        ...ids,
        links: [traceparent],
        startMs,
        attributes: { "muster.run.id": runId },
      });
      root.end({ endMs: tracing.at() });
      return root.traceparent;
    },
    about(run) {
      if (traceIdOf(run.trace) !== traceId) span.link(run.trace);
    },
    end({ status, outcome, tokenName, subject, requestId }) {
      span.end({
        endMs: tracing.at(),
        attributes: {
          "http.response.status_code": status,
          "muster.request.id": requestId,
          "muster.outcome": outcome,
          ...(tokenName === "" ? {} : { "user.name": tokenName }),
          ...(subject.taskId === undefined ? {} : { "muster.task.id": subject.taskId }),
          ...(subject.runId === undefined ? {} : { "muster.run.id": subject.runId }),
          ...(subject.workerId === undefined ? {} : { "muster.worker.id": subject.workerId }),
          ...(subject.attemptId === undefined ? {} : { "muster.attempt.id": subject.attemptId }),
        },
        // A client's own mistake is no error of this server.
        ...(status < 500 ? {} : { error: outcome === "ok" ? String(status) : outcome }),
      });
    },
  };
}
