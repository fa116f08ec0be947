import { z } from "zod";
import { sha256Hex } from "./digest.ts";

/** W3C Trace Context, version 00: `00-<32 hex trace id>-<16 hex parent id>-<2 hex flags>`. */
const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

export const traceparent = z
  .string()
  .regex(traceparentPattern)
  .refine((text) => !text.startsWith(`00-${"0".repeat(32)}`) && text.slice(36, 52) !== "0".repeat(16), "must not be all zero");

/** The trace id of a traceparent; undefined when it is not one (W3C: an invalid one is ignored, never an error). */
export function traceIdOf(text: string | undefined): string | undefined {
  return text !== undefined && traceparent.safeParse(text).success ? text.slice(3, 35) : undefined;
}

/** What a traceparent says: which trace, which span, and whether its spans are kept. */
export interface SpanRef {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

export function parseTraceparent(text: string): SpanRef | undefined {
  if (traceIdOf(text) === undefined) return undefined;
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52), sampled: (Number.parseInt(text.slice(53), 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, spanId, sampled }: SpanRef): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** Whether the spans of this context are kept; false also for what is no context. */
export function isSampled(text: string | undefined): text is string {
  return text !== undefined && parseTraceparent(text)?.sampled === true;
}

/**
 * The id of the span of an attempt's process. It follows from the attempt, so that the process can be told of its span before
 * the span exists, and an agent that takes the process up again ends the same span.
 */
export function processSpanId(attempt: string): string {
  return sha256Hex(`process of ${attempt}`).slice(0, 16);
}
