/** What the doctor reads of the API's answers: the fields that it needs, and no more, so that a newer manager may say more. */
import * as z from "zod";
import { runStates } from "../../schema/run.ts";
import { workerStates } from "../../schema/worker.ts";

const status = z.enum(["pass", "warn", "fail"]);

export const health = z.object({
  status,
  checks: z.array(z.object({ name: z.string(), status, sentence: z.string() })),
  alarms: z.array(z.object({ kind: z.string(), since: z.string(), sentence: z.string() })),
});

export const worker = z.object({
  id: z.string(),
  state: z.enum(workerStates),
  reason: z.string().nullable(),
  survives: z.boolean().nullable(),
  clockAheadMs: z.object({ least: z.number(), most: z.number() }).nullable(),
});
export type Worker = z.infer<typeof worker>;
export const workers = z.object({ items: z.array(worker), next: z.string().nullable() });

export const runSummary = z.object({
  id: z.string(),
  state: z.enum(runStates),
  reason: z.string().nullable(),
  workerId: z.string().nullable(),
});
export type RunSummary = z.infer<typeof runSummary>;
export const runs = z.object({ items: z.array(runSummary), next: z.string().nullable() });
