/** What happens to the worker's core, and what it wants done. The shell writes the journal first and then acts, in order. */
import type { End } from "../../schema/end.ts";
import type { BodyRef, Commands, Hello, Heartbeat, Report, Status } from "../../schema/messages.ts";
import type { Labels } from "../../schema/task.ts";
import type { Capacity, Facts, Load } from "../../schema/worker.ts";
import type { JournalWrite, ProcessId, StartOrder } from "./records.ts";

/** What is fixed for one life of the agent. */
export interface AgentOptions {
  /** `journal.n.nonce` */
  readonly epoch: string;
  readonly facts: Facts;
  readonly labels: Labels;
  readonly capacity: Capacity;
  readonly survives: boolean;
  readonly http: boolean;
  /** Whether this host can enforce a fence (rule 9); without it a start with `onLost: retry` is refused. */
  readonly fences: boolean;
  /** Whether this worker makes spans: its reports then carry the context of their start. Absent: no. */
  readonly traces?: boolean;
  /** How long news that can wait (accepted, running) gathers more of it before it is sent; 0: not at all. */
  readonly gatherMs: number;
  /** Until the manager sends its own. */
  readonly settings: { readonly heartbeatMs: number; readonly startTtlMs: number; readonly workerLostMs: number };
}

/** How the exit record of a process read (rule 24). */
export type ExitRecord =
  | { readonly read: "code"; readonly code: number }
  /** The shim itself was told of a signal, which only the agent's own `signal` can be blamed for. */
  | { readonly read: "signal"; readonly signal: string }
  | { readonly read: "unreadable"; readonly why: string };

/** The JSON that a process left in MUSTER_RESULT. */
export type ResultFound =
  | { readonly kind: "none" }
  /** JSON text of at most `inlineResultBytes`. */
  | { readonly kind: "inline"; readonly json: string }
  /** Uploaded over HTTP. */
  | { readonly kind: "uploaded"; readonly sha256: string; readonly size: number }
  /** It was there and could not be taken: not JSON, too large, not uploaded. Said with the end. */
  | { readonly kind: "bad"; readonly why: string };

/** What a restarted agent found of an attempt that the journal says has not ended. */
export type Found =
  /** Its shim is alive: boot id, pid and start time agree. */
  | { readonly attempt: string; readonly found: "alive"; readonly process: ProcessId; readonly startedWall: number }
  /** Its shim is gone and its tree is empty; `process` as `started` recorded it. */
  | {
      readonly attempt: string;
      readonly found: "exited";
      readonly exit: ExitRecord;
      readonly result: ResultFound;
      readonly process: ProcessId | null;
      readonly startedWall: number | null;
      /** As in `ended`; absent where the host cannot tell: then a journalled stop counts as one that came first. */
      readonly termBefore?: boolean;
      readonly timedOut: boolean;
      readonly fenced: boolean;
    }
  /** Its shim is at its first lines, or hangs there: `started` or `notStarted` will say which. */
  | { readonly attempt: string; readonly found: "starting" }
  /** Its program could not be executed. */
  | { readonly attempt: string; readonly found: "failedToStart"; readonly why: string }
  /** `started` did not exist and is now void, made by this agent: it never ran and never will. */
  | { readonly attempt: string; readonly found: "neverStarted" }
  /** It was launched under another boot id and left no exit record. */
  | { readonly attempt: string; readonly found: "rebooted" };

export type AgentInput =
  /** After SUBACK. `connection` counts from 1 within the epoch. */
  | { readonly kind: "connected"; readonly connection: number }
  | { readonly kind: "disconnected" }
  | { readonly kind: "commands"; readonly message: Commands }
  /** Once, before anything else: what became of the journal's attempts while no agent ran. */
  | { readonly kind: "recovered"; readonly found: readonly Found[] }
  | {
      readonly kind: "bodyFetched";
      readonly attempt: string;
      readonly spec: Readonly<Record<string, unknown>>;
      readonly env: Readonly<Record<string, string>>;
    }
  | { readonly kind: "bodyFailed"; readonly attempt: string; readonly why: string }
  /** The shim wrote `started`. */
  | { readonly kind: "started"; readonly attempt: string; readonly process: ProcessId; readonly startedWall: number }
  /**
   * It never ran and never will: the driver, the folder or the program said no (`failedToStart`, also after `started`, which
   * the shim writes before it executes the program), or room or time ran out (`refused`).
   */
  | { readonly kind: "notStarted"; readonly attempt: string; readonly how: "failedToStart" | "refused"; readonly why: string }
  /**
   * The shim is gone and the whole tree is empty (rule 25). `termBefore`: the exit record was not yet complete when the
   * agent first sent TERM. `timedOut`, `fenced`: the watchdog ended it on a deadline.
   */
  | {
      readonly kind: "ended";
      readonly attempt: string;
      readonly exit: ExitRecord;
      readonly termBefore: boolean;
      readonly timedOut: boolean;
      readonly fenced: boolean;
      readonly result: ResultFound;
      readonly endedWall: number;
    }
  | { readonly kind: "progress"; readonly attempt: string; readonly percent: number | null; readonly message: string | null }
  /** Whether the journal holds its reserve (rule 26). Without it starts are refused; ends are still written. True until told. */
  | { readonly kind: "room"; readonly room: boolean }
  /** `load` and `spoolBytes` are measured by the shell. */
  | { readonly kind: "tick"; readonly load: Load; readonly spoolBytes: number }
  /** The agent is told to leave: no new starts from now on. `stopRuns` ends its processes first. */
  | { readonly kind: "leave"; readonly stopRuns: boolean };

export type AgentAction =
  | { readonly action: "publish"; readonly what: "hello"; readonly message: Hello }
  | {
      readonly action: "publish";
      readonly what: "reports";
      readonly message: {
        readonly v: 1;
        readonly epoch: string;
        readonly connection: number;
        readonly mono: number;
        readonly journal: string;
        readonly items: readonly Report[];
      };
    }
  | { readonly action: "publish"; readonly what: "heartbeat"; readonly message: Heartbeat }
  | { readonly action: "publish"; readonly what: "status"; readonly message: Status }
  | { readonly action: "fetchBody"; readonly attempt: string; readonly body: BodyRef }
  /**
   * The journal holds `launching`. `deadlines` are mono ms; null: none. From `freshUntilMono` on it may not be launched any
   * more (rule 6): an action that a full journal held back for so long is answered with `notStarted` `refused`.
   */
  | { readonly action: "launch"; readonly order: StartOrder; readonly deadlines: Deadlines; readonly freshUntilMono: number }
  /** TERM to the group, unless the exit record is already complete. */
  | { readonly action: "terminate"; readonly attempt: string }
  /** KILL to the whole tree. */
  | { readonly action: "kill"; readonly attempt: string }
  | { readonly action: "signal"; readonly attempt: string; readonly signal: string }
  /** Replaces the deadlines beside `started` (rule 9). */
  | { readonly action: "deadlines"; readonly attempt: string; readonly deadlines: Deadlines }
  /** Logs of this stream up to `offset` are safe at the manager. */
  | { readonly action: "logsAck"; readonly attempt: string; readonly stream: "stdout" | "stderr"; readonly offset: number }
  /** A new leader speaks: what the one before it had on the wire is lost, so unacknowledged output goes out again. */
  | { readonly action: "logsAgain" }
  /** The ended attempt's end is acknowledged; its folder may go once its logs are shipped. */
  | { readonly action: "settled"; readonly attempt: string }
  /** The hello was refused: leave, say why, and come back after `retryAfterMs`. `newJournal`: only with a journal of its own making. */
  | { readonly action: "disconnect"; readonly why: string; readonly retryAfterMs: number; readonly newJournal: boolean }
  /** Worth a count and a log line. */
  | { readonly action: "note"; readonly what: string; readonly attempt?: string; readonly detail?: string };

/** When the watchdog ends the tree by itself, in ms of the host's boot-time clock. */
export interface Deadlines {
  readonly timeoutMono: number | null;
  readonly fenceMono: number | null;
  readonly graceMs: number;
}

export interface AgentStep {
  readonly journal: readonly JournalWrite[];
  readonly actions: readonly AgentAction[];
  /** The actions need not wait for the writes, which may go with those of a later step. */
  readonly canWait?: boolean;
}

/** What a person may ask of a running agent: its state file, `worker --health`. */
export interface AgentView {
  readonly connected: boolean;
  /** A sync of this connection has come. */
  readonly synced: boolean;
  readonly draining: boolean;
  readonly free: Capacity;
  readonly live: readonly {
    readonly attempt: string;
    readonly run: string;
    readonly state: string;
    readonly pid: number | null;
  }[];
  readonly unackedReports: number;
  readonly refused: string | null;
  readonly lastEnds: readonly { readonly attempt: string; readonly end: End }[];
}
