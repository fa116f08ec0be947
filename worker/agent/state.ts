/** What the worker's core holds in memory. The journal has the part of it that must outlive the agent. */
import type { End } from "../../schema/end.ts";
import type { Report } from "../../schema/messages.ts";
import type { Load } from "../../schema/worker.ts";
import type { DueHeap } from "./due.ts";
import type { LedgerEntry, StartOrder } from "./records.ts";
import type { AgentOptions } from "./types.ts";

/** An attempt that has not ended. */
export interface Attempt {
  /** What the journal holds of it; replaced, never changed in place. */
  entry: LedgerEntry;
  /** The whole start, until it is launched. */
  order: StartOrder | null;
  /** The start's own echo and how long it is fresh (rule 6); only until it is launched. */
  freshFromMono: number;
  ttlMs: number;
  waitsForBody: boolean;
  /** What the deadlines file says (rule 9); null: no fence. */
  fenceMono: number | null;
  /** Its fence has passed: no echo takes that back. */
  fenceSpent: boolean;
  /** When the next KILL is due; null unless it is stopping. */
  killMono: number | null;
  /** The instant under which it lies in the heap; null: nothing is due. */
  dueMono: number | null;
  /** The newest progress not reported yet. */
  progress: { readonly percent: number | null; readonly message: string | null } | null;
  /** seq and instant of its last progress report; 0 while there is none. */
  progressSeq: number;
  progressMono: number;
}

/** An attempt that has ended, kept so that a late start of it is answered and not obeyed (rule 3). */
export interface Ended {
  readonly entry: LedgerEntry;
  /** When its end was acknowledged, or this agent began if that was earlier; null while it is not. */
  ackedMono: number | null;
}

/** A report that no ack covers. */
export interface QueuedReport {
  readonly seq: number;
  readonly report: Report;
  /** What it takes of a message, in bytes of JSON. */
  readonly bytes: number;
}

/** Reports in order of seq. Those before `first` are acknowledged and wait to be dropped from the array. */
export interface ReportQueue {
  items: QueuedReport[];
  first: number;
  /** How many from `first` on were sent over this connection, and their bytes. */
  onWire: number;
  onWireBytes: number;
  /** Resends without progress so far, and when the next is due; null: nothing is on the wire. */
  resends: number;
  resendMono: number | null;
  /** Until when news that can wait gathers more of it; null: nothing waits. */
  gatherMono: number | null;
}

export interface Settings {
  readonly version: number;
  readonly heartbeatMs: number;
  readonly startTtlMs: number;
  readonly workerLostMs: number;
}

/** How the connection stands. */
export interface LinkState {
  connected: boolean;
  /** Counts from 1 within the epoch; 0 before the first. */
  connection: number;
  synced: boolean;
  /** When the hello is due: repeated until a sync comes (rule 13), or asked for. */
  helloMono: number | null;
  hellos: number;
  lastHelloMono: number;
  /** The next hello lists what of the ledger ended above this seq; null: it was not asked to. */
  ledgerAbove: number | null;
  heartbeatMono: number;
  /** Why the last hello was refused; null once one was taken. */
  refused: string | null;
}

export interface AgentState {
  readonly options: AgentOptions;
  readonly journal: string;
  highestTerm: number;
  highestAck: number;
  nextSeq: number;
  /** The newest seq before this epoch wrote any, or an earlier one of which no leader heard: nothing since can have been applied. */
  readonly seqAtStart: number;
  /** A leader took a hello of this epoch. */
  heard: boolean;
  /** The journal holds `seqAtStart`, so that a later agent says the same as long as nobody has heard. */
  notedUnheard: boolean;
  /** Ends up to this seq may be missing in the ledger. */
  forgottenSeq: number;
  readonly live: Map<string, Attempt>;
  /** Ledger of the ended, in order of their ends' seq. */
  readonly ended: Map<string, Ended>;
  /** Accepted and not launched, in order. */
  readonly held: Set<string>;
  /** Launched, and with a fence that each newer echo moves. */
  readonly fenced: Set<string>;
  /** Capacity taken by what is launched. */
  readonly used: { slots: number; memoryMb: number; cpus: number };
  readonly queue: ReportQueue;
  /** Attempt → seq of a report that answered a repeated command and is not acknowledged. */
  readonly answers: Map<string, number>;
  readonly due: DueHeap;
  readonly link: LinkState;
  settings: Settings;
  /** The longest time for which any start was fresh: how long the ledger keeps an acknowledged end at least (rule 3). */
  longestTtlMs: number;
  /** Newest confirmed mono of this epoch that a leader echoed; null before the first (rule 5). */
  asOfMono: number | null;
  /** Nothing confirmed before this instant counts: the last gap in the agent's own steps ended then (rule 6). */
  gapMono: number;
  lastStepMono: number;
  draining: boolean;
  leaving: boolean;
  /** It leaves after its runs have been stopped. */
  stopsRuns: boolean;
  /** The last word was sent: no heartbeat may follow it. */
  saidOff: boolean;
  room: boolean;
  load: Load;
  spoolBytes: number;
  readonly progressWaiting: Set<string>;
  progressMono: number;
  lastEnds: { readonly attempt: string; readonly end: End }[];
}
