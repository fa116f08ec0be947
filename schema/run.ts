import * as z from "zod";
import { end, type End } from "./end.ts";

/**
 * Every state of a run and where it may go. Nothing else moves a run; docs/words.md and the API's enum come from this table.
 * A retry is a new attempt of the same run; a terminal run never changes again (rule 22).
 */
export const runMoves = {
  queued: ["starting", "stopped", "lost"],
  starting: ["running", "stopping", "queued", "retrying", "unreachable", "succeeded", "failed", "timedOut", "stopped", "lost"],
  running: ["stopping", "retrying", "unreachable", "succeeded", "failed", "timedOut", "stopped", "lost"],
  stopping: ["unreachable", "succeeded", "failed", "timedOut", "stopped", "lost"],
  retrying: ["queued", "starting", "stopped", "failed", "timedOut", "lost"],
  unreachable: ["starting", "running", "stopping", "queued", "retrying", "succeeded", "failed", "timedOut", "stopped", "lost"],
  succeeded: [],
  failed: [],
  timedOut: [],
  stopped: [],
  lost: [],
} as const satisfies Record<string, readonly string[]>;

export type RunState = keyof typeof runMoves;
export const runStates = Object.keys(runMoves) as RunState[];
export const runState = z.enum(runStates as [RunState, ...RunState[]]);

/** True when nothing may change any more. */
export function isTerminal(state: RunState): boolean {
  return runMoves[state].length === 0;
}

export const attemptStates = ["sent", "accepted", "running", "stopping", "ended"] as const;
export type AttemptState = (typeof attemptStates)[number];
export const attemptState = z.enum(attemptStates);

/** What a task may be retried after; loss is `onLost`'s alone. */
export const retryOn = z.enum(["failed", "timedOut"]);
export type RetryOn = z.infer<typeof retryOn>;

export const onLost = z.enum(["wait", "retry", "fail"]);
export type OnLost = z.infer<typeof onLost>;

/** The terminal state that an end stands for; undefined for `refused`, which is placed again and is no try. */
export function terminalStateOf(e: End): "succeeded" | "failed" | "timedOut" | "stopped" | "lost" | undefined {
  switch (e.how) {
    case "exited":
      return e.code === 0 ? "succeeded" : "failed";
    case "signalled":
    case "failedToStart":
      return "failed";
    case "timedOut":
      return "timedOut";
    case "stopped":
      return "stopped";
    case "lost":
      return "lost";
    case "refused":
      return undefined;
  }
}

const instant = z.iso.datetime().describe("ISO-8601, UTC");

/** One placement of a run on one worker, as the API shows it. */
export const attemptView = z.strictObject({
  id: z.string(),
  number: z.int().describe("1 for the first placement of the run; MUSTER_ATTEMPT in the process"),
  workerId: z.string(),
  state: attemptState,
  sentAt: instant,
  startedAt: instant.nullable(),
  endedAt: instant.nullable(),
  end: end.nullable(),
  pid: z.int().nullable(),
});
export type AttemptView = z.infer<typeof attemptView>;

/** A run without its payloads: what lists hold. */
export const runSummary = z.strictObject({
  id: z.string(),
  taskId: z.string(),
  taskName: z.string(),
  taskVersion: z.int(),
  pool: z.string(),
  state: runState,
  reason: z.string().nullable().describe("why it waits, or what its end means, in one sentence"),
  workerId: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  createdAt: instant,
  startedAt: instant.nullable(),
  endedAt: instant.nullable(),
  end: end.nullable(),
  by: z.string(),
  rerunOf: z.string().nullable(),
  traceId: z.string(),
});
export type RunSummary = z.infer<typeof runSummary>;

/** One run, whole. */
export const runView = runSummary.extend({
  params: z.record(z.string(), z.string()),
  attempts: z.array(attemptView),
  progress: z.strictObject({ percent: z.number().nullable(), message: z.string().nullable() }).nullable(),
  result: z.json().nullable(),
  byReason: z.string().nullable().describe("the reason that the requester gave"),
});
export type RunView = z.infer<typeof runView>;
