import * as z from "zod";
import { id } from "./ids.ts";
import { requestLimits, workerLimits } from "./limits.ts";
import { labels } from "./task.ts";

export const workerStates = ["neverSeen", "online", "draining", "drained", "unreachable", "lost", "removed"] as const;
export type WorkerState = (typeof workerStates)[number];
export const workerState = z.enum(workerStates);

const short = z.string().max(requestLimits.labelValueChars);

/** What a worker found out about its host at start; constraints ask about these by the names in docs/words.md. */
export const facts = z.strictObject({
  os: short.describe("linux, windows, darwin"),
  osVersion: short.default(""),
  arch: short,
  hostname: short,
  cpus: z.number().min(0),
  memoryMb: z.number().min(0),
  /** name → version, such as `python: 3.11.2`; an interpreter that is absent is not on the host. */
  interpreters: z.record(z.string().max(36), short),
  drivers: z.array(z.string().max(36)).max(100),
  agentVersion: short,
  nodeVersion: short.default(""),
  bootId: short,
});
export type Facts = z.infer<typeof facts>;

export const capacity = z.strictObject({
  slots: z.int().min(0).max(workerLimits.slotsMax),
  memoryMb: z.number().min(0),
  cpus: z.number().min(0),
});
export type Capacity = z.infer<typeof capacity>;

export const load = z.strictObject({ cpu: z.number().min(0), memoryMb: z.number().min(0) });
export type Load = z.infer<typeof load>;

const instant = z.iso.datetime();

/** A worker as the API shows it. */
export const workerView = z.strictObject({
  id,
  pool: id,
  state: workerState,
  reason: z.string().nullable().describe("why it is not online, in one sentence"),
  stateSince: instant,
  labels: labels.describe("the worker's own labels, overlaid by those set through the API"),
  facts: facts.nullable(),
  capacity: capacity.nullable(),
  used: z.strictObject({ slots: z.number(), memoryMb: z.number(), cpus: z.number() }),
  load: load.nullable(),
  attempts: z.int().describe("attempts that have not ended"),
  lastSeenAt: instant.nullable(),
  clockAheadMs: z
    .strictObject({ least: z.number(), most: z.number() })
    .nullable()
    .describe("its wall clock minus the manager's lies between these; null until its agent has reported to this leader"),
  heartbeatSeconds: z.number(),
  survives: z.boolean().nullable().describe("whether tasks outlive the agent's death on this host"),
  http: z.boolean().nullable().describe("whether the worker can fetch large bodies from the manager"),
});
export type WorkerView = z.infer<typeof workerView>;
