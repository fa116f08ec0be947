/** The SDK behind `Tracing`. Nobody imports this but `openTracing`, and only when there is an endpoint. */
import { hostname } from "node:os";
import {
  defaultTextMapGetter,
  diag,
  DiagLogLevel,
  propagation,
  ROOT_CONTEXT,
  SpanKind as ApiKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type SpanContext,
} from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { formatTraceparent, parseTraceparent } from "../../trace.ts";
import { patience } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { tracingLimits } from "../../limits/tracing.ts";
import { SpanQueue } from "./queue.ts";
import type { OpenSpan, SpanKind, SpanStart, Tracing } from "../tracing.ts";
import { makeIds, type Ids } from "./ids.ts";
import type { TracingSettings } from "./settings.ts";

const kinds: Readonly<Record<SpanKind, ApiKind>> = {
  internal: ApiKind.INTERNAL,
  server: ApiKind.SERVER,
  client: ApiKind.CLIENT,
  producer: ApiKind.PRODUCER,
  consumer: ApiKind.CONSUMER,
};

/** Starts the SDK, for traces alone. There is one in a process. */
export function startTracing(settings: TracingSettings, deps: { readonly clock: Clock; readonly log: Log }): Tracing {
  const { clock, log } = deps;
  listen(log);
  const ids = makeIds();
  const attributes = { "host.name": hostname(), "process.pid": process.pid, ...settings.resource };
  const sdk = new NodeSDK({
    resourceDetectors: [{ detect: () => ({ attributes }) }],
    idGenerator: ids,
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  const tracer = trace.getTracer("muster");
  const queue = new SpanQueue({ flush: flusher(), monoMs: () => clock.now().mono, log });
  const open = (start: SpanStart): OpenSpan => openSpan(start, { tracer, ids, queue });
  log.info({ resource: settings.resource }, "spans are exported");
  return {
    open,
    record: (span) => open(span).end(span),
    at: fineClock(clock),
    figures: queue.figures,
    async close() {
      await queue.close();
      const enough = new AbortController();
      // The queue is empty, so there is nothing to wait for but an export that hangs.
      await Promise.race([sdk.shutdown().catch(() => undefined), patience(tracingLimits.closeMs, enough.signal)]);
      enough.abort();
      trace.disable();
      diag.disable();
    },
  };
}

interface Making {
  readonly tracer: ReturnType<typeof trace.getTracer>;
  readonly ids: Ids;
  readonly queue: SpanQueue;
}

function openSpan(start: SpanStart, { tracer, ids, queue }: Making): OpenSpan {
  ids.nextIs(start);
  const span = tracer.startSpan(
    start.name,
    {
      kind: kinds[start.kind],
      startTime: start.startMs,
      attributes: start.attributes ?? {},
      links: (start.links ?? []).flatMap((link) => linkOf(link)),
    },
    contextOf(start),
  );
  const { traceId, spanId, traceFlags } = span.spanContext();
  const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
  return {
    traceparent: formatTraceparent({ traceId, spanId, sampled }),
    sampled,
    link: (traceparent) => void span.addLinks(linkOf(traceparent)),
    end(end) {
      if (!span.isRecording()) return;
      if (end.attributes) span.setAttributes(end.attributes);
      if (end.error !== undefined) span.setAttribute("error.type", end.error).setStatus({ code: SpanStatusCode.ERROR });
      queue.push(() => span.end(Math.max(start.startMs, end.endMs)));
    },
  };
}

function contextOf(start: SpanStart): Context {
  const { parent: traceparent, tracestate } = start;
  if (traceparent === null) return ROOT_CONTEXT;
  if (tracestate !== undefined) {
    const extracted = propagation.extract(ROOT_CONTEXT, { traceparent, tracestate }, defaultTextMapGetter);
    // The operator may have chosen propagators that do not know these headers; the trace goes on all the same.
    if (trace.getSpanContext(extracted)) return extracted;
  }
  const parent = spanContextOf(traceparent, start.remote === true);
  return parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
}

function spanContextOf(traceparent: string, isRemote: boolean): SpanContext | undefined {
  const ref = parseTraceparent(traceparent);
  if (!ref) return undefined;
  const { traceId, spanId, sampled } = ref;
  return {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote,
  };
}

function linkOf(traceparent: string): { readonly context: SpanContext }[] {
  const context = spanContextOf(traceparent, true);
  return context ? [{ context }] : [];
}

/** What the provider that was just started must have exported. Only the SDK's own provider has this method, not the API's. */
function flusher(): () => Promise<void> {
  const proxy = trace.getTracerProvider();
  const provider: unknown = "getDelegate" in proxy && typeof proxy.getDelegate === "function" ? proxy.getDelegate() : proxy;
  if (
    typeof provider !== "object" ||
    provider === null ||
    !("forceFlush" in provider) ||
    typeof provider.forceFlush !== "function"
  )
    throw new Error("tracing cannot be started: another part of this process has started OpenTelemetry already");
  const flush = provider.forceFlush.bind(provider) as () => Promise<void>;
  return () => flush();
}

/** The SDK speaks here. Failed exports are told of by our own queue, with counts; the rest is about the configuration. */
function listen(log: Log): void {
  const said = new Set<string>();
  const once = (message: string): void => {
    if (said.has(message) || said.size >= 20) return;
    said.add(message);
    log.warn({ detail: message }, "OpenTelemetry");
  };
  const quiet = (message: string): void => log.debug({ detail: message }, "OpenTelemetry");
  diag.setLogger(
    { error: quiet, warn: once, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

/** The wall clock has steps of a millisecond, in which spans would stand on each other; the monotonic clock fills them. */
function fineClock(clock: Clock): (monoMs?: number) => number {
  let offset = Number.NaN;
  return (monoMs) => {
    const now = clock.now();
    const seen = now.wall - now.mono;
    // A step is cut off, never added: the largest of all readings is the nearest to the truth. Begun anew when the clock was set.
    if (!(Math.abs(seen - offset) < 2) || seen > offset) offset = seen;
    return offset + (monoMs ?? now.mono);
  };
}
