import * as z from "zod";
import { execRun, labels, otherRun, requires, retry, scriptRun } from "./task.ts";
import { onLost, runSummary } from "./run.ts";

const instant = z.iso.datetime().describe("ISO-8601, UTC");

/** A task without what it runs: what lists hold. */
export const taskSummary = z.strictObject({
  id: z.string(),
  version: z.int().describe("the newest; the ETag is this number"),
  name: z.string(),
  kind: z.literal("batch"),
  pool: z.string(),
  labels,
  createdAt: instant,
  updatedAt: instant,
});
export type TaskSummary = z.infer<typeof taskSummary>;

/** One task with its newest definition. */
export const taskView = taskSummary.extend({
  run: z
    .union([execRun, scriptRun, otherRun])
    .describe("`script` is null when its content is large: see scriptSha256 and scriptSize"),
  params: z.record(z.string(), z.string()),
  env: z.record(z.string(), z.string()),
  timeoutSeconds: z.number().nullable(),
  killGraceSeconds: z.number(),
  retry,
  onLost,
  lostAfterSeconds: z.number(),
  giveUpAfterSeconds: z.number(),
  attemptOverlap: z.enum(["never", "allow"]),
  constraints: z.array(z.string()),
  requires,
  scriptSha256: z.string().nullable().describe("of the script's bytes; null when the task has none"),
  scriptSize: z.int().nullable().describe("bytes"),
  by: z.string().describe("the name of the token that made this version"),
  byReason: z.string().nullable(),
  lastRun: runSummary.nullable(),
  warnings: z.array(z.string()).describe("what is allowed but may surprise, one sentence each"),
});
export type TaskView = z.infer<typeof taskView>;
