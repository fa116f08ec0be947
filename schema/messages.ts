/**
 * Every message of the wire (`muster/v1`), as zod. Both sides parse once, at the door; asyncapi.yaml is made from these.
 * Envelopes are strict about what they need and pass over keys they do not know, so that a newer minor version may add
 * some; items are parsed one by one, so that one unreadable item never takes its neighbours with it (rule 16).
 */
import * as z from "zod";
import { end } from "./end.ts";
import { epochText, id } from "./ids.ts";
import { requestLimits, wireLimits } from "./limits.ts";
import { attemptState, onLost } from "./run.ts";
import { capacity, facts, load } from "./worker.ts";
import { labels } from "./task.ts";

export const protocolVersion = 1;

const version = z.literal(protocolVersion);
const mono = z.number().min(0).describe("milliseconds of the host's boot-time clock");
const seq = z.int().min(0);
const term = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const journal = z.string().regex(/^[A-Za-z0-9_-]{12}$/);
const sentence = z.string().max(requestLimits.sentenceChars);

/** A body that travels by HTTP: `Authorization: Ticket <ticket>` at `MUSTER_MANAGER_URL` + path. */
export const bodyRef = z.object({ path: z.string().max(200), sha256, size: z.int().min(0), ticket: z.string().max(500) });
export type BodyRef = z.infer<typeof bodyRef>;

export const asOf = z.object({ epoch: epochText, mono });
export type AsOf = z.infer<typeof asOf>;

/** Bounds that the manager sets for one attempt. */
export const attemptLimits = z.object({
  logStreamBytes: z.int().min(0),
  resultBytes: z.int().min(0),
});
export type AttemptLimits = z.infer<typeof attemptLimits>;

// ---------------------------------------------------------------- manager to worker

export const startItem = z.object({
  kind: z.literal("start"),
  attempt: id,
  run: id,
  /** The attempt's number within its run, from 1. */
  number: z.int().min(1),
  task: id,
  version: z.int().min(1),
  driver: z.string().max(36),
  /** The run part of the task version (schema/task.ts); absent when `body` names where to fetch it. */
  spec: z.record(z.string(), z.json()).optional(),
  /** JSON `{spec, env}`; its env lies below this item's env. */
  body: bodyRef.optional(),
  env: z.record(z.string(), z.string()),
  timeoutSeconds: z.number().positive().nullable(),
  killGraceSeconds: z.number().min(0),
  onLost,
  lostAfterSeconds: z.number().positive().optional(),
  /** What it takes of the worker's capacity. */
  requires: z.object({ slots: z.int().min(0), memoryMb: z.number().min(0), cpus: z.number().min(0) }),
  limits: attemptLimits,
  /** A W3C traceparent: MQTT 3.1.1 has no headers. */
  trace: z.string().max(128),
  ttlMs: z.number().positive(),
  /** For `PUT /attempts/{id}/result`; absent when the worker has no HTTP way to the manager. */
  resultTicket: z.string().max(500).optional(),
});
export type StartItem = z.infer<typeof startItem>;

const context = z
  .string()
  .max(128)
  .optional()
  .describe("a W3C traceparent: the span below which the receiver's own belongs; absent when the sender makes none");

export const stopItem = z.object({
  kind: z.literal("stop"),
  attempt: id,
  by: sentence,
  graceSeconds: z.number().min(0),
  trace: context,
});
export const signalItem = z.object({
  kind: z.literal("signal"),
  attempt: id,
  signal: z.string().regex(/^SIG[A-Z0-9]{1,16}$/),
  trace: context,
});
export const askItem = z.object({
  kind: z.literal("ask"),
  attempts: z.array(id).max(500).optional(),
  hello: z.literal(true).optional(),
  ledger: z
    .object({ journal, above: seq })
    .optional()
    .describe("the next hello also lists attempts that ended, and were acknowledged, above this seq (rule 28)"),
});
export const ackItem = z.object({ kind: z.literal("ack"), journal, seq });
export const logsAckItem = z.object({
  kind: z.literal("logsAck"),
  attempt: id,
  stream: z.enum(["stdout", "stderr"]),
  offset: z.int().min(0),
});
export const workerSettings = z.object({
  version: z.int().min(0),
  heartbeatMs: z.number().positive(),
  startTtlMs: z.number().positive(),
  workerLostMs: z.number().positive(),
});
export type WorkerSettings = z.infer<typeof workerSettings>;
export const settingsItem = workerSettings.extend({ kind: z.literal("settings") });
export const drainItem = z.object({ kind: z.literal("drain"), on: z.boolean() });
export const syncItem = z.object({
  kind: z.literal("sync"),
  epoch: epochText,
  connection: z.int().min(1),
  /** Attempts of the inventory that shall go on. Attempts in neither list are left alone (rule 14). */
  keep: z.array(id).optional(),
  stop: z.array(id).optional(),
  ack: z.object({ journal, seq }).optional(),
  settings: workerSettings.optional(),
  draining: z.boolean().optional(),
  /** The hello is refused, and why; the agent disconnects and prints it. */
  refused: sentence.optional(),
  /** With `refused`: the worker's journal is a copy of another's, and it may come back only with a new one (rule 1). */
  newJournal: z.boolean().optional(),
});
export type SyncItem = z.infer<typeof syncItem>;

export const downItem = z.discriminatedUnion("kind", [
  startItem,
  stopItem,
  signalItem,
  askItem,
  ackItem,
  logsAckItem,
  settingsItem,
  drainItem,
  syncItem,
]);
export type DownItem = z.infer<typeof downItem>;

export const commandsEnvelope = z.object({ v: version, term, asOf, items: z.array(z.unknown()).max(wireLimits.itemsPerMessage) });
/** `…/down/commands`, its items parsed. */
export interface Commands {
  readonly v: 1;
  readonly term: number;
  readonly asOf: AsOf;
  readonly items: readonly DownItem[];
}

// ---------------------------------------------------------------- worker to manager

// The API shows these without further keys; on the wire a newer worker may tell more than this manager knows.
const factsSent = z.object(facts.shape);
const capacitySent = z.object(capacity.shape);
const loadSent = z.object(load.shape);

const uplink = { v: version, epoch: epochText, connection: z.int().min(1), mono };

export const inventoryItem = z.object({
  attempt: id,
  run: id,
  start: z.int().min(1),
  state: attemptState,
  end: end.optional(),
  /** Of an end that was acknowledged, so that no report of it follows: the report's seq, and the host's wall clock. */
  acked: z.object({ seq, startedAt: z.number().optional(), endedAt: z.number() }).optional(),
});
export type InventoryItem = z.infer<typeof inventoryItem>;

export const hello = z.object({
  ...uplink,
  facts: factsSent,
  labels,
  capacity: capacitySent,
  highestTerm: term,
  highestAck: seq,
  /** The seq of the oldest report that no ack covers; newestSeq + 1 when there is none. */
  firstUnackedSeq: seq,
  newestSeq: seq,
  /**
   * The newest seq when this epoch began: what an agent finds out at its start has seqs above it already. A journal that was put
   * back shows here that it knows less than was applied (rule 1); what earlier epochs wrote counts only if a leader took a hello
   * since. Agents of the first release do not say it.
   */
  seqAtStart: seq.optional(),
  versions: z.array(z.int()).max(10),
  survives: z.boolean(),
  http: z.boolean(),
  draining: z.boolean(),
  /**
   * The answer to `ask{ledger}`: the inventory also has every acknowledged end with a seq above `above` and up to `upTo`; the
   * ledger is whole once that is all that was acknowledged. Ends up to `forgotten` are not in it any more.
   */
  ledger: z.object({ above: seq, upTo: seq, forgotten: seq }).optional(),
  inventory: z.object({ part: z.int().min(1), of: z.int().min(1).max(10_000), items: z.array(inventoryItem).max(2_000) }),
});
export type Hello = z.infer<typeof hello>;

export const reportKinds = ["accepted", "running", "stopping", "progress", "end"] as const;
export const report = z.object({
  seq: z.int().min(1),
  attempt: id,
  start: z.int().min(1),
  kind: z.enum(reportKinds),
  /** Wall clock of the worker's host, milliseconds since 1970: shown, and how far it is off; nothing is decided by it. */
  at: z.number(),
  pid: z.int().optional(),
  /** Wall clock at which the process started, with `running` and `end`. */
  startedAt: z.number().optional(),
  percent: z.number().min(0).max(100).optional(),
  message: sentence.optional(),
  end: end.optional(),
  result: z.json().optional(),
  /** The result's body was uploaded with the attempt's ticket. */
  body: z.object({ sha256, size: z.int().min(0) }).optional(),
  trace: context,
});
export type Report = z.infer<typeof report>;

export const reportsEnvelope = z.object({ ...uplink, journal, items: z.array(z.unknown()).max(wireLimits.itemsPerMessage) });
export interface Reports {
  readonly epoch: string;
  readonly connection: number;
  readonly mono: number;
  readonly journal: string;
  readonly items: readonly Report[];
  /** Items that did not parse but carry a readable seq: set aside, so that the seqs after them still apply. */
  readonly unreadable: readonly {
    readonly seq: number;
    readonly attempt?: string;
    readonly kind?: string;
    readonly raw: string;
    readonly why: string;
  }[];
}

export const heartbeat = z.object({
  ...uplink,
  free: capacitySent,
  load: loadSent,
  settingsVersion: z.int().min(0),
  draining: z.boolean(),
  spoolBytes: z.number().min(0),
  live: z.object({ count: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{16}$/) }),
});
export type Heartbeat = z.infer<typeof heartbeat>;

export const logs = z.object({
  ...uplink,
  attempt: id,
  start: z.int().min(1),
  stream: z.enum(["stdout", "stderr"]),
  offset: z.int().min(0),
  /** Base64; empty with a gap. */
  bytes: z.base64().max(wireLimits.logChunkBase64Bytes),
  /** These many bytes from `offset` on were dropped, and why: nothing is silently missing. */
  gap: z.object({ bytes: z.int().min(1), why: sentence }).optional(),
});
export type Logs = z.infer<typeof logs>;

/** Retained, and the last will: kept under 160 bytes, hence the short names. */
export const status = z.object({ st: z.enum(["on", "off", "gone"]), ep: epochText, cn: z.int().min(1) });
export type Status = z.infer<typeof status>;
