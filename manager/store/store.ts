/**
 * The one seam to the database: domain verbs, no SQL outside this folder. `memory:`, SQLite and MariaDB pass one contract
 * suite (test/contract/store). A unit of work is a list of changes, never an interactive transaction.
 */
import type { Change } from "../control/changes.ts";
import type { Loaded, Need } from "../control/inputs.ts";
import type {
  AttemptRecord,
  EventRecord,
  HoldRecord,
  LiveState,
  RunRecord,
  SetAsideRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "../control/records.ts";
import type { EventKind } from "../../schema/event.ts";
import type { RunState } from "../../schema/run.ts";
import type { WorkerState } from "../../schema/worker.ts";

/** What a leader writes in one transaction. `batch` is one above the last one that held. */
export interface Batch {
  readonly pool: string;
  readonly term: number;
  readonly batch: number;
  readonly changes: readonly Change[];
}

/**
 * `applied`: durable. `deposed`: the term is not ours any more, nothing was written (rule 17). Errors are thrown as `StoreError`.
 */
export type CommitResult = "applied" | "deposed";

/**
 * `transient`: the same batch is tried again, however often. `permanent`: the store says of the rows themselves that they
 * cannot be (data, constraint, size). `outcomeKnown`: false when it may have committed all the same (rule 19).
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: "transient" | "permanent";
  readonly outcomeKnown: boolean;
  constructor(kind: "transient" | "permanent", outcomeKnown: boolean, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.outcomeKnown = outcomeKnown;
  }
}

/** The lease row of a pool (rules 17 and 18). */
export interface LeaseRow {
  readonly pool: string;
  readonly holder: string;
  readonly term: number;
  readonly batch: number;
  readonly beat: number;
}

export interface Page<T> {
  /** At most `limit`. Fewer, even none, before the end when filters together matched few of the rows that one page looks at. */
  readonly items: readonly T[];
  /** Opaque; give it back as `cursor`, or the problem `malformed` is thrown. Null at the end. */
  readonly next: string | null;
}

interface Paging {
  readonly limit: number;
  readonly cursor: string | null;
}

export interface TaskFilter extends Paging {
  readonly pool?: string;
  /** The whole name. */
  readonly name?: string;
  readonly kind?: "batch";
  readonly label?: { readonly key: string; readonly value: string };
}

export interface RunFilter extends Paging {
  readonly pool?: string;
  readonly taskId?: string;
  /** The worker of the run's newest attempt. */
  readonly workerId?: string;
  readonly states?: readonly RunState[];
  readonly label?: { readonly key: string; readonly value: string };
  /** Bounds of createdAt, wall ms: since ≤ createdAt < until. */
  readonly since?: number;
  readonly until?: number;
}

export interface WorkerFilter extends Paging {
  readonly pool?: string;
  readonly states?: readonly WorkerState[];
  readonly label?: { readonly key: string; readonly value: string };
}

export interface EventFilter {
  readonly limit: number;
  /** Above this number, per pool; pools that are not named begin at 0. Oldest first. */
  readonly after: Readonly<Record<string, number>>;
  readonly runId?: string;
  readonly taskId?: string;
  readonly workerId?: string;
  readonly kinds?: readonly EventKind[];
}

/** The verbs of the leader. */
export interface LeaderStore {
  /** True where an OS lock is the lease (SQLite, `memory:`): whoever opened the store leads, and needs no renewal (rule 18). */
  readonly leaseIsLock: boolean;
  /**
   * Makes the pool's lease row when there is none, and takes `max(term, aboveTerm) + 1` for `holder`. Returns the row as
   * taken, or null when it is not as it was `seen` (null: no row): somebody else took it, or committed, in between.
   */
  takeLease(pool: string, holder: string, seen: LeaseRow | null, aboveTerm: number): Promise<LeaseRow | null>;
  readLease(pool: string): Promise<LeaseRow | null>;
  /** Advances `beat` under the term. False: deposed. Where an OS lock is the lease (SQLite, memory) it only says that the lock is held. */
  renewLease(pool: string, term: number): Promise<boolean>;
  /**
   * Says under the term that nobody leads any more (an empty holder), so that the next leader need not wait until the row stood
   * still. The last thing that a leader does; harmless when the term is another's by now.
   */
  releaseLease(pool: string, term: number): Promise<void>;
  loadLive(pool: string): Promise<LiveState>;
  load(pool: string, needs: readonly Need[]): Promise<Loaded[]>;
  /**
   * One transaction; all of it or nothing. An empty batch is a lease check. A number that was applied before is `deposed`
   * like one that is not ours; `readLease` tells them apart. An update of a row that is not there is a permanent error.
   * Errors that nobody classified are thrown as they came, for the caller to count (rule 19).
   */
  commit(batch: Batch): Promise<CommitResult>;
}

/** The verbs of everyone who looks. Committed state only. */
export interface ReadStore {
  task(id: string): Promise<TaskRecord | null>;
  taskByName(pool: string, name: string): Promise<TaskRecord | null>;
  version(taskId: string, version: number): Promise<TaskVersionRecord | null>;
  lastRun(taskId: string): Promise<RunRecord | null>;
  /** Those that are not deleted, newest first. */
  tasks(filter: TaskFilter): Promise<Page<TaskRecord>>;
  run(id: string): Promise<{ readonly run: RunRecord; readonly attempts: readonly AttemptRecord[] } | null>;
  /** Newest first: by createdAt, then order, then pool. */
  runs(filter: RunFilter): Promise<Page<RunRecord>>;
  attempt(id: string): Promise<AttemptRecord | null>;
  worker(id: string): Promise<WorkerRecord | null>;
  /** By id. */
  workers(filter: WorkerFilter): Promise<Page<WorkerRecord>>;
  /** Oldest first; within a pool by number, also when its clock was set back. */
  events(filter: EventFilter): Promise<readonly EventRecord[]>;
  /** The newest event's number of each pool. */
  lastEvents(): Promise<Readonly<Record<string, number>>>;
  /** The pools that are held since their database was taken back (rule 28), by name. */
  holds(): Promise<readonly HoldRecord[]>;
  /** The lease of every pool, by name: who led it last. */
  leases(): Promise<readonly LeaseRow[]>;
  /** Newest first; the store keeps `managerLimits.setAside` of them. */
  setAside(limit: number): Promise<readonly SetAsideRecord[]>;
}

/** Large bytes by their SHA-256, and small secrets. Written before the commit that speaks of them; writing twice is harmless. */
export interface BodyStore {
  putBody(sha256: string, bytes: Uint8Array): Promise<void>;
  getBody(sha256: string): Promise<Uint8Array | null>;
  /** The secret of this name, made from 32 random bytes the first time anybody asks. */
  secret(name: string): Promise<Uint8Array>;
}

/** A browser's session. Instants are wall ms. */
export interface SessionRow {
  /** SHA-256 of the cookie's value, in hex: whoever reads the row cannot use the session. */
  readonly id: string;
  /** Of the token that was posted, as the credentials keep it; it is looked up at each use, so a revoked token ends its sessions. */
  readonly tokenHash: string;
  /** The last use that was noted. */
  readonly usedAt: number;
  /** It ends then however much it is used. */
  readonly endsAt: number;
}

/**
 * Browser sessions, the same for every manager on the store (decision 015). `now` is the caller's wall clock, ms; where managers
 * of several hosts share the store it is passed over for the database's own, because two hosts' clocks are never compared.
 */
export interface SessionStore {
  /** Begins a session of `apiLimits.sessionMs`. Ended ones are forgotten, and beyond `apiLimits.sessions` the longest unused. */
  beginSession(id: string, tokenHash: string, now: number): Promise<SessionRow>;
  /** The session, unless it has ended or was idle for `apiLimits.sessionIdleMs`. Counts as a use, noted once in `apiLimits.sessionNotedMs`. */
  useSession(id: string, now: number): Promise<SessionRow | null>;
  /** Ends it; harmless when there is none. */
  endSession(id: string): Promise<void>;
}

export interface Store extends LeaderStore, ReadStore, BodyStore, SessionStore, AsyncDisposable {
  /** What the store relies on and whether it holds (durability settings, migrations): sentences for `/health`. */
  check(): Promise<readonly { readonly name: string; readonly ok: boolean; readonly sentence: string }[]>;
}
