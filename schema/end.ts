import * as z from "zod";
import { requestLimits } from "./limits.ts";

const sentence = z.string().max(requestLimits.sentenceChars);

/** How an attempt ended: one reason, written once. The host reports it, the manager derives the run's state from it. */
export const end = z.discriminatedUnion("how", [
  z.strictObject({ how: z.literal("exited"), code: z.int().min(0).max(4_294_967_295) }),
  z.strictObject({ how: z.literal("signalled"), signal: z.string().max(20) }),
  z.strictObject({ how: z.literal("timedOut") }),
  z.strictObject({ how: z.literal("stopped"), by: sentence }),
  z.strictObject({ how: z.literal("refused"), why: sentence }),
  z.strictObject({ how: z.literal("failedToStart"), why: sentence }),
  z.strictObject({ how: z.literal("lost"), why: sentence }),
]);
export type End = z.infer<typeof end>;

/** `stopped{by}` of an attempt that its own host stopped because nobody had spoken to it for `lostAfterSeconds` (rule 8). */
export const stoppedByFence = "fence";

/** One line for people: "exited 0", "stopped by ana", "failed to start: no such program". */
export function endSentence(e: End): string {
  switch (e.how) {
    case "exited":
      return `exited ${e.code}`;
    case "signalled":
      return `ended by ${e.signal}`;
    case "timedOut":
      return "timed out";
    case "stopped":
      return `stopped by ${e.by}`;
    case "refused":
      return `refused: ${e.why}`;
    case "failedToStart":
      return `failed to start: ${e.why}`;
    case "lost":
      return `lost: ${e.why}`;
  }
}

/** Cuts a reason to the bound that every sentence on the wire has, so that a long error message never makes an end unreadable. */
export function boundedSentence(text: string): string {
  const clean = text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ").trim();
  if (clean.length <= requestLimits.sentenceChars) return clean;
  return `${clean.slice(0, requestLimits.sentenceChars - 1)}…`;
}
