/** A `Tracing` that only remembers: ids count up, and everything that a root does not say otherwise is sampled. */
import { formatTraceparent, parseTraceparent } from "../../schema/trace.ts";
import type { OpenSpan, SpanEnd, SpanStart, Tracing } from "../../schema/kit/tracing.ts";

export type Remembered = SpanStart & SpanEnd & { readonly traceparent: string; readonly linked: readonly string[] };

export interface Recorder extends Tracing {
  readonly spans: readonly Remembered[];
  named(name: string): readonly Remembered[];
}

/** `sampleRoots`: what the sampler says of a span without a parent. */
export function spanRecorder(sampleRoots = true): Recorder {
  const spans: Remembered[] = [];
  let count = 0;
  const open = (start: SpanStart): OpenSpan => {
    count += 1;
    const parent = start.parent === null ? undefined : parseTraceparent(start.parent);
    const hex = count.toString(16);
    const sampled = parent?.sampled ?? sampleRoots;
    const traceparent = formatTraceparent({
      traceId: parent?.traceId ?? start.traceId ?? hex.padStart(32, "e"),
      spanId: start.spanId ?? hex.padStart(16, "5"),
      sampled,
    });
    const linked: string[] = [];
    return {
      traceparent,
      sampled,
      link: (other) => void linked.push(other),
      end(end) {
        if (sampled)
          spans.push({ ...start, ...end, attributes: { ...start.attributes, ...end.attributes }, traceparent, linked });
      },
    };
  };
  return {
    spans,
    named: (name) => spans.filter((span) => span.name === name),
    open,
    record: (span) => open(span).end(span),
    at: (monoMs = 0) => 1_000_000 + monoMs,
    figures: { exported: 0, failed: 0, dropped: 0 },
    close: async () => undefined,
  };
}
