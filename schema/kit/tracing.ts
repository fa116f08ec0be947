/**
 * Spans, as manager and worker make them: OpenTelemetry without its SDK, which is loaded only when an endpoint is set (it
 * takes 130 ms and 44 MB). Whoever makes spans has a `Tracing` or nothing, and without one does nothing.
 */
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { TracingSettings } from "./tracing/settings.ts";

export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";

export type Attributes = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** A span at its beginning. Times are milliseconds since 1970, with fractions. */
export interface SpanStart {
  /** Of low cardinality: what differs from span to span is an attribute. */
  readonly name: string;
  readonly kind: SpanKind;
  /** Traceparent of the span above; null: this one is a root, and the sampler decides. */
  readonly parent: string | null;
  /** The parent is in another process. */
  readonly remote?: boolean;
  /** W3C tracestate that came with the parent. */
  readonly tracestate?: string;
  /** Ids that follow from what the span is about; drawn by chance when absent. */
  readonly spanId?: string;
  readonly traceId?: string;
  /** Traceparents. */
  readonly links?: readonly string[];
  readonly startMs: number;
  readonly attributes?: Attributes;
}

export interface SpanEnd {
  readonly endMs: number;
  readonly attributes?: Attributes;
  /** It failed: a word of low cardinality, such as an error's code (`error.type`). */
  readonly error?: string;
}

/** A span that has begun. It is kept only once it is ended. */
export interface OpenSpan {
  readonly traceparent: string;
  /** Whether it is recorded; children of one that is not are not either. */
  readonly sampled: boolean;
  link(traceparent: string): void;
  end(end: SpanEnd): void;
}

export interface TracingFigures {
  exported: number;
  /** The endpoint did not take them. */
  failed: number;
  /** More than may wait. */
  dropped: number;
}

export interface Tracing {
  open(start: SpanStart): OpenSpan;
  /** A span that is over already. */
  record(span: SpanStart & SpanEnd): void;
  /** Milliseconds since 1970, with fractions, of a moment of the process's clock; without one, of now. */
  at(monoMs?: number): number;
  readonly figures: Readonly<TracingFigures>;
  /** Exports what waits, within a bound, and lets the SDK go. */
  close(): Promise<void>;
}

/** Loads the SDK and starts it. Undefined without settings: then nothing of OpenTelemetry is loaded. */
export async function openTracing(
  settings: TracingSettings | null,
  deps: { readonly clock: Clock; readonly log: Log },
): Promise<Tracing | undefined> {
  if (settings === null) return undefined;
  const { startTracing } = await import("./tracing/sdk.ts");
  return startTracing(settings, deps);
}
