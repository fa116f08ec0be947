/** Commands on their way down: the span of each item that belongs to a run, and its context in the item. */
import type { OpenSpan, Tracing } from "../../schema/kit/tracing.ts";
import { messageAttributes, publishedName, type Wire } from "../../schema/kit/tracing/messages.ts";
import type { DownItem } from "../../schema/messages.ts";
import { isSampled } from "../../schema/trace.ts";

/** An item as it leaves, and its span. */
export interface Leaving {
  readonly item: DownItem;
  /** The message that carried it was taken by the broker, or was lost. */
  readonly left: (outcome: "taken" | "lost") => void;
}

export interface DownTracing {
  /** Begins the span of a start, a stop or a signal of a sampled run; undefined for every other item. */
  leaving(item: DownItem, to: { readonly pool: string; readonly workerId: string }): Leaving | undefined;
}

/** `contextOf`: the trace of the run that an attempt belongs to. */
export function traceDownlinks(
  tracing: Tracing,
  wire: Wire,
  contextOf: (pool: string, attemptId: string) => string | undefined,
): DownTracing {
  return {
    leaving(item, { pool, workerId }) {
      if (item.kind !== "start" && item.kind !== "stop" && item.kind !== "signal") return undefined;
      const parent = item.kind === "start" ? item.trace : contextOf(pool, item.attempt);
      if (!isSampled(parent)) return undefined;
      const span = tracing.open({
        name: publishedName(wire, "commands"),
        kind: "producer",
        parent,
        startMs: tracing.at(),
        attributes: {
          ...messageAttributes(wire, { operation: "publish", kind: "commands", pool, workerId }),
          "muster.command": item.kind,
          "muster.attempt.id": item.attempt,
          ...(item.kind === "start" ? { "muster.run.id": item.run, "muster.attempt.number": item.number } : {}),
        },
      });
      return {
        item: withContext(item, span),
        left: (outcome) => span.end({ endMs: tracing.at(), ...(outcome === "lost" ? { error: "not_published" } : {}) }),
      };
    },
  };
}

/** The process belongs below the newest span that is known to exist: a worker that traces puts its own in instead. */
function withContext(item: DownItem & { readonly kind: "start" | "stop" | "signal" }, span: OpenSpan): DownItem {
  if (item.kind !== "start") return { ...item, trace: span.traceparent };
  return { ...item, trace: span.traceparent, env: { ...item.env, TRACEPARENT: span.traceparent } };
}
