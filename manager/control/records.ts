/**
 * What the store holds, as the core and the stores know it. Instants are wall milliseconds since 1970, UTC.
 * Fields that never change after the insert come first in each record.
 */
import type { End } from "../../schema/end.ts";
import type { EventKind } from "../../schema/event.ts";
import type { AttemptState, RunState } from "../../schema/run.ts";
import type { Labels, Params, TaskDefinition } from "../../schema/task.ts";
import type { Capacity, Facts, WorkerState } from "../../schema/worker.ts";

/** Bytes that live in the body table, by their SHA-256 (hex). */
export interface StoredBody {
  readonly sha256: string;
  readonly size: number;
}

/** A task's head: which version is the newest. A deleted task keeps its rows for its runs' sake; its name is free again. */
export interface TaskRecord {
  readonly id: string;
  readonly pool: string;
  readonly createdAt: number;
  readonly name: string;
  readonly version: number;
  readonly labels: Labels;
  readonly kind: "batch";
  readonly updatedAt: number;
  readonly deleted: boolean;
}

/** One version of a task: immutable. */
export interface TaskVersionRecord {
  readonly taskId: string;
  readonly version: number;
  /** With `run.script` and `run.scriptBase64` null when `body` holds them. */
  readonly definition: TaskDefinition;
  /** JSON `{spec, env}` (the whole `run` object and the task's env), when it is too large for this row and for a start message. */
  readonly body: StoredBody | null;
  /** What is known of the script's content when it is in `body`. */
  readonly script: StoredBody | null;
  readonly createdAt: number;
  readonly by: string;
  readonly byReason: string | null;
}

export interface StopRequest {
  readonly by: string;
  readonly graceSeconds: number;
  readonly at: number;
}

export interface RunRecord {
  readonly id: string;
  readonly pool: string;
  readonly taskId: string;
  readonly taskVersion: number;
  readonly taskName: string;
  /** Rises within the pool, with gaps: the queue's order, and that of runs of one millisecond in lists. */
  readonly order: number;
  readonly params: Params;
  readonly labels: Labels;
  /** The only worker that may run it, when the start named one. */
  readonly wantedWorkerId: string | null;
  readonly createdAt: number;
  readonly by: string;
  readonly byReason: string | null;
  readonly rerunOf: string | null;
  /** A W3C traceparent; every span of the run has its trace id. */
  readonly trace: string;
  readonly state: RunState;
  /** The worker of the newest attempt. */
  readonly workerId: string | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly end: End | null;
  /** Placements so far, refused ones included: the newest attempt's number. */
  readonly placements: number;
  /** Tries so far: placements that were not refused. */
  readonly tries: number;
  readonly stop: StopRequest | null;
  /** JSON text, at most `inlineResultBytes`; a larger result is `resultBody`. */
  readonly result: string | null;
  readonly resultBody: StoredBody | null;
  readonly progress: { readonly percent: number | null; readonly message: string | null } | null;
}

export interface AttemptRecord {
  readonly id: string;
  readonly runId: string;
  readonly taskId: string;
  readonly pool: string;
  readonly number: number;
  readonly workerId: string;
  /** The only epoch that may start it (rule 2), as `journal.n.nonce`. */
  readonly epoch: string;
  readonly sentAt: number;
  readonly state: AttemptState;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly pid: number | null;
  readonly end: End | null;
}

export interface WorkerRecord {
  readonly id: string;
  readonly pool: string;
  readonly createdAt: number;
  /** Newest accepted epoch; null before the first hello. */
  readonly epoch: string | null;
  readonly connection: number;
  readonly facts: Facts | null;
  readonly ownLabels: Labels;
  /** Set by `PATCH /workers/{id}`; they overlay the worker's own. */
  readonly apiLabels: Labels;
  readonly capacity: Capacity | null;
  readonly draining: boolean;
  readonly survives: boolean | null;
  readonly http: boolean | null;
  readonly state: WorkerState;
  readonly stateSince: number;
  readonly lastSeenAt: number | null;
}

/** Up to which seq the reports of one journal are applied (rule 12). */
export interface JournalRecord {
  readonly workerId: string;
  readonly journal: string;
  readonly applied: number;
}

export interface EventRecord {
  readonly pool: string;
  readonly number: number;
  readonly at: number;
  readonly kind: EventKind;
  readonly taskId: string | null;
  readonly runId: string | null;
  readonly attemptId: string | null;
  readonly workerId: string | null;
  readonly by: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A client's Idempotency-Key and the run that it made. */
export interface KeyRecord {
  readonly taskId: string;
  readonly key: string;
  readonly bodyHash: string;
  readonly runId: string;
  readonly at: number;
}

/** Something that could not be applied, kept for an operator to look at. */
export interface SetAsideRecord {
  readonly id: string;
  readonly pool: string;
  readonly at: number;
  readonly source: string;
  readonly why: string;
  /** At most 64 KiB of what arrived. */
  readonly raw: string;
}

/** The database was taken back in time (rule 28): nothing is placed until the pool's workers have told what they ended since. */
export interface HoldRecord {
  readonly pool: string;
  readonly since: number;
  /** Who said so; null when a leader saw it by itself. */
  readonly by: string | null;
  readonly byReason: string | null;
  /** What made it, one sentence. */
  readonly why: string;
  /** A worker's ledger no longer reaches back to what the database knows: the hold does not end by itself. */
  readonly short: boolean;
  /** Somebody let the runs go; the ledgers that are still to come are read all the same. */
  readonly letGo: boolean;
}

/** Everything that a new leader holds in memory. */
export interface LiveState {
  readonly workers: readonly WorkerRecord[];
  readonly journals: readonly JournalRecord[];
  /** Runs in any state but queued and the terminal ones, with all their attempts. */
  readonly runs: readonly { readonly run: RunRecord; readonly attempts: readonly AttemptRecord[] }[];
  /** Runs that are queued, counted; the core pages them in. */
  readonly queued: number;
  /** Attempts not ended whose run is terminal (a `wait` that gave up): their late ends must still be recognised. */
  readonly orphans: readonly AttemptRecord[];
  readonly lastEvent: number;
  readonly hold: HoldRecord | null;
}
