/** What the worker's journal holds (SQLite, durable before acting). `mono` is the host's boot-time clock, `wall` only shown. */
import type { End } from "../../schema/end.ts";
import type { BodyRef, StartItem } from "../../schema/messages.ts";

/**
 * `accepted`: journalled, not launched. `launching`: the launcher may have been told (rule 23). `running`: its shim said so.
 * `stopping`: TERM was asked for. `ended`: has an end.
 */
export type LedgerState = "accepted" | "launching" | "running" | "stopping" | "ended";

/** The process of an attempt, known by all three, never by pid alone. */
export interface ProcessId {
  readonly bootId: string;
  readonly pid: number;
  /** Start time in the kernel's clock ticks since boot: proc_pid_stat(5), field 22. */
  readonly startTicks: number;
}

/**
 * The start as it was accepted. In the ledger without `spec`, `env` and `body`: only the epoch that accepted it may launch it
 * (rule 2), so a later agent needs no more than its deadlines and bounds, and no secret of its env lies in the journal.
 */
export type StartOrder = Omit<StartItem, "kind" | "body" | "ttlMs"> & { readonly body: BodyRef | null };

/** Stands for the run of an attempt of which only a stop is known; an id, so that an inventory can hold it. */
export const unknownRun = "-";

/** One attempt in the ledger, kept long after its end was acknowledged (rule 3). */
export interface LedgerEntry {
  readonly attempt: string;
  /** `unknownRun` for a stop of an attempt that was never here. */
  readonly run: string;
  readonly start: number;
  readonly state: LedgerState;
  /** The epoch that accepted it, `journal.n.nonce`; null for a stop of an unknown attempt (rule 4). */
  readonly epoch: string | null;
  /** Null once it has ended, and for an attempt that was refused or stopped before it came. */
  readonly order: StartOrder | null;
  readonly process: ProcessId | null;
  readonly startedWall: number | null;
  /** Who asked it to stop, once somebody has. */
  readonly stopBy: string | null;
  /** Its timeout passed, and TERM was asked for because of that. */
  readonly timedOut: boolean;
  /** Boot-time ms at which its timeout passes; null: none. Good only under `launchBootId`. */
  readonly timeoutMono: number | null;
  /** Boot-time ms from which on it is KILLed; null until it is stopping. */
  readonly killMono: number | null;
  /** Signals that clients had this worker send to it: only these can make its end `signalled` (rule 24). */
  readonly signals: readonly string[];
  /** Boot id under which `launching` was written. */
  readonly launchBootId: string | null;
  readonly end: End | null;
  /** seq of the report that carries its end; 0 while there is none. */
  readonly endSeq: number;
  /** Wall ms of the last change, so of the end once it has ended; for the ledger's bound by age. */
  readonly changedWall: number;
}

/** A report that no ack covers yet: its exact JSON, without `seq`. */
export interface StoredReport {
  readonly seq: number;
  readonly attempt: string;
  readonly body: string;
}

export interface JournalMeta {
  /** Twelve characters, drawn when the journal file was made. */
  readonly journal: string;
  /** Agent starts on this journal, this one included. */
  readonly n: number;
  readonly highestTerm: number;
  /** Highest acknowledged seq. */
  readonly highestAck: number;
  /** The seq that the next report gets, at least 1. */
  readonly nextSeq: number;
  /** Highest seq of an end that the ledger has forgotten; absent or 0: it has forgotten none. */
  readonly forgottenSeq?: number;
  /** The newest seq before an agent wrote reports of whose life no leader has heard yet; absent or null: there are none such. */
  readonly unheardSeq?: number | null;
}

/** What one step wants written, in order, in one durable transaction, before anything else of the step happens. */
export type JournalWrite =
  | { readonly write: "meta"; readonly set: Partial<Omit<JournalMeta, "journal" | "n" | "unheardSeq">> }
  | { readonly write: "entry"; readonly entry: LedgerEntry }
  | { readonly write: "report"; readonly report: StoredReport }
  /** Drops the reports up to and including this seq. */
  | { readonly write: "acked"; readonly seq: number }
  /** Drops these entries; `upTo` is the highest seq of their ends. */
  | { readonly write: "forget"; readonly attempts: readonly string[]; readonly upTo: number }
  /** Sets `unheardSeq`. */
  | { readonly write: "unheard"; readonly seq: number | null };
