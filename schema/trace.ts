import * as z from "zod";

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
