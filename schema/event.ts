import * as z from "zod";

/** What may happen, append-only. The number of an event rises by one within its pool. */
export const eventKinds = [
  "taskCreated",
  "taskChanged",
  "taskDeleted",
  "runQueued",
  "attemptSent",
  "attemptAccepted",
  "attemptRunning",
  "attemptStopping",
  "attemptEnded",
  "runStopRequested",
  "runSignalled",
  "runRetrying",
  "runUnreachable",
  "runEnded",
  "runProgress",
  "lateEnd",
  "workerJoined",
  "workerOnline",
  "workerUnreachable",
  "workerLost",
  "workerDraining",
  "workerUndrained",
  "workerChanged",
  "workerRemoved",
  "workerRefused",
  "attemptFound",
  "poolHeld",
  "poolReleased",
  "setAside",
  "gap",
  "alarm",
] as const;
export type EventKind = (typeof eventKinds)[number];
export const eventKind = z.enum(eventKinds);

/** One line of history, as the API shows it. `id` is the vector `pool:number` of the stream up to this event. */
export const eventView = z.strictObject({
  id: z.string(),
  pool: z.string(),
  number: z.int(),
  at: z.iso.datetime(),
  kind: eventKind,
  taskId: z.string().nullable(),
  runId: z.string().nullable(),
  attemptId: z.string().nullable(),
  workerId: z.string().nullable(),
  by: z.string().nullable(),
  data: z.record(z.string(), z.json()),
});
export type EventView = z.infer<typeof eventView>;
