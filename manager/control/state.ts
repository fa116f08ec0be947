/** What the manager's core holds in memory: workers, live runs and attempts, a window of the queue, and bounded caches. */
import type { End } from "../../schema/end.ts";
import type { InventoryItem } from "../../schema/messages.ts";
import type { StandingAlarm } from "./alarms.ts";
import type { Cache } from "./cache.ts";
import type { ControlOptions } from "./core.ts";
import type { DueHeap } from "./due.ts";
import type { Asker } from "./inputs.ts";
import type { OpenSet, WorkerInView } from "./queue/openset.ts";
import type { Queue } from "./queue/queue.ts";
import type { AttemptRecord, HoldRecord, KeyRecord, RunRecord, TaskRecord, WorkerRecord } from "./records.ts";
import type { CompiledVersion, Requires } from "./versions.ts";
import type { ClockAhead } from "./fleet/worker-clock.ts";

/** A run that is not terminal and in memory. */
export interface RunCell {
  row: RunRecord;
  /** Undefined until it was read (a new leader's first need), null when the store has none. */
  version: CompiledVersion | null | undefined;
  /** The newest attempt, while it has not ended. */
  attempt: AttemptCell | null;
  /** Key of the queue's line in which it waits; null when it does not. */
  line: string | null;
  /** Not to be placed before this instant: backoff of a retry, rest after a refusal. */
  holdMono: number | null;
  /** Why it was held, for people. */
  holdWhy: string | null;
  /** Refusals in a row. */
  refusals: number;
  /** Workers that refused it, each avoided until an instant. */
  avoid: Map<string, number> | null;
  avoidMono: number | null;
  /** Of a run that was taken over: how its newest attempt ended. */
  lastEnd: End | null;
}

/** An attempt that has not ended. Its worker may be gone, its run may be terminal (an orphan, rule 22). */
export interface AttemptCell {
  row: AttemptRecord;
  readonly run: RunCell;
  readonly worker: WorkerCell;
  /** What it takes of its worker; zero until the version of a taken-over attempt was read. */
  requires: Requires;
  /** Its run is terminal: nothing but its own row and a late end can come of it. */
  orphan: boolean;
  /** Sent by an earlier leader: what that one echoed is not known here. */
  readonly inherited: boolean;
  /** Rule 7b: an inventory of its own epoch without it, with at least this mono, proves that it never ran. */
  provableMono: number;
  readonly firstSentMono: number;
  /** Where it was last heard of: an older snapshot without it says nothing. */
  known: { epoch: string; mono: number } | null;
  /** The end that an inventory gave it; its report, which has the result too, is to come. */
  listedEnd: End | null;
  /** When a resend is due, and the delay after that. */
  timerMono: number | null;
  delayMs: number;
  /** When its loss is decided (giving up, fence); null while its worker is not lost. */
  lossMono: number | null;
}

/** Parts of one inventory, until all have come. */
export interface PartialInventory {
  readonly epoch: string;
  readonly connection: number;
  readonly mono: number;
  readonly of: number;
  readonly parts: Map<number, readonly InventoryItem[]>;
}

export interface WorkerCell {
  row: WorkerRecord;
  /** The same worker as placements and constraints see it. */
  view: WorkerInView;
  /** Attempts bound to it that have not ended, orphans too. */
  readonly attempts: Map<string, AttemptCell>;
  readonly used: { slots: number; memoryMb: number; cpus: number };
  /** When it was last heard, by our clock. */
  heardMono: number;
  heardWall: number | null;
  /** By what its agent reported to this leader; null before the first report. */
  clockAhead: ClockAhead | null;
  /** Newest mono of its current epoch; null before the first of this leader's life. */
  mono: number | null;
  /** A whole hello of its epoch came in this leader's own term (rule 13). */
  synced: boolean;
  /** This leader has heard of every end that the worker was acknowledged (rule 28). */
  told: boolean;
  /** The newest connection that ended, by its status. */
  goneConnection: number;
  /** The interval that it beats with, as far as we know. */
  beatMs: number;
  /** When it was last sent anything: `asOf` must be echoed now and then (rule 8). */
  spokenMono: number;
  inventory: PartialInventory | null;
  /** When hello was last asked for, and how long to wait before the next time. */
  askedMono: number;
  askDelayMs: number;
  /** Beats in a row whose digest differs from ours, and whether anything changed since the last beat. */
  digestMisses: number;
  changedSinceBeat: boolean;
  digest: string | null;
  /** Refusals in a row; from the third on it rests for a while. */
  refusals: number;
  restMono: number | null;
  restWhy: string | null;
  /** How fast its slots come free, for prefetching. */
  lastEndMono: number;
  endIntervalMs: number;
  /** The last epoch that was refused under its id; one event for each. */
  refusedEpoch: string | null;
  /** Attempts of its inventory that nobody here knows; one event for each. */
  readonly found: Set<string>;
  /** The instant under which it lies in the heap of what is due. */
  dueMono: number | null;
  /** When the brake lets it be declared lost. */
  releaseMono: number | null;
}

/** A stop of all runs of a task that takes more than one step. */
export interface Sweep {
  readonly taskId: string;
  readonly ticket: number;
  readonly asker: Asker;
  readonly graceSeconds: number | null;
  /** The task is deleted when none is left. */
  readonly thenDelete: boolean;
  stopped: number;
  /** The batch in which it last went on. */
  batchNumber: number;
}

export interface Brake {
  /** Workers that became unreachable lately and are so still, and when; the first of them first. */
  readonly gone: Map<string, number>;
  /** Null: off. */
  untilMono: number | null;
  /** Letting go: workers may be declared lost one by one. */
  releasing: boolean;
  nextReleaseMono: number;
}

/** What this batch touched and what was read for it; the store does not hold it yet. */
export interface BatchMemory {
  /** Runs made or ended, by id. */
  runs: Map<string, RunRecord>;
  attempts: Map<string, AttemptRecord>;
  /** Runs made and left in the store's part of the queue. */
  fresh: number;
}

/** See hold.ts. */
export interface Hold {
  row: HoldRecord;
  /** What it waits for, for people; renewed with each tick. */
  sentence: string;
}

export interface ControlState {
  readonly options: ControlOptions;
  readonly workers: Map<string, WorkerCell>;
  /** `worker\njournal` → applied seq (rule 12). */
  readonly journals: Map<string, number>;
  readonly runs: Map<string, RunCell>;
  /** Runs in memory of each task. */
  readonly runsOfTask: Map<string, Set<RunCell>>;
  readonly attempts: Map<string, AttemptCell>;
  readonly queue: Queue;
  readonly due: DueHeap;
  /** Workers that may take attempts and have a free slot; that are full but fast; all that may take any. */
  readonly free: OpenSet;
  readonly eager: OpenSet;
  readonly takers: OpenSet;
  /** Workers that became fitter since the last placing. */
  readonly changed: Set<WorkerCell>;
  readonly tasks: Cache<TaskRecord>;
  readonly names: Cache<string>;
  readonly versions: Cache<CompiledVersion>;
  readonly keys: Cache<KeyRecord>;
  /** Versions of runs taken over, to be read before anything else. */
  readonly lacking: Map<string, RunCell[]>;
  batch: BatchMemory;
  /** The batch before: its rows are in the store, or about to be. */
  previous: BatchMemory;
  readonly loaded: {
    readonly runs: Map<string, RunRecord | null>;
    readonly attempts: Map<string, AttemptRecord | null>;
    readonly liveRuns: Map<string, readonly string[]>;
    /** Of workers that are none of this pool. */
    readonly poolOfWorker: Map<string, string | null>;
    /** Attempts that are being read; what is not found of them does not exist. */
    asked: readonly string[];
  };
  batchEnded: boolean;
  batchNumber: number;
  /** Attempts sent in this batch: the envelope's asOf may yet rise with it. */
  sentNow: AttemptCell[];
  readonly sweeps: Sweep[];
  /** Tasks that are being deleted. */
  readonly closing: Set<string>;
  readonly alarms: Map<string, StandingAlarm>;
  readonly brake: Brake;
  /** The pool's database was taken back; null: it was not, or everything is known again. */
  hold: Hold | null;
  /** There were runs that had not ended when this leader took over, and the newest order that one of them may have. */
  readonly tookOverRuns: boolean;
  readonly tookOverOrder: number;
  lastEvent: number;
  lastStepMono: number;
  /** Nobody counts as silent before this: takeover, or the end of our own absence (rules 10, 18). */
  presentSinceMono: number;
  keysForgottenMono: number;
  /** Reachable workers; the heartbeat interval follows it. */
  reachable: number;
  settings: { version: number; heartbeatMs: number; startTtlMs: number; workerLostMs: number };
}

/** The database was taken back: nothing may be placed, and nobody's attempts are called lost because of time alone (hold.ts). */
export function isHeld(state: ControlState): boolean {
  return state.hold !== null && !state.hold.row.letGo;
}

export function journalKey(workerId: string, journal: string): string {
  return `${workerId}\n${journal}`;
}

/** Up to which seq the worker's reports of this journal are applied; 0 before the first. */
export function appliedSeq(state: ControlState, workerId: string, journal: string): number {
  return state.journals.get(journalKey(workerId, journal)) ?? 0;
}

export function keyKey(taskId: string, key: string): string {
  return `${taskId}\n${key}`;
}

export function versionKey(taskId: string, version: number): string {
  return `${taskId}@${version}`;
}

/** Whether anybody hears it now. */
export function isReachable(worker: WorkerCell): boolean {
  const { state } = worker.row;
  return state === "online" || state === "draining" || state === "drained";
}

/** When it was last heard, or when we began to listen. */
export function heardSince(state: ControlState, worker: WorkerCell): number {
  return Math.max(worker.heardMono, state.presentSinceMono);
}

/** A run that this batch or the one before made or ended. */
export function recentRun(state: ControlState, id: string): RunRecord | undefined {
  return state.batch.runs.get(id) ?? state.previous.runs.get(id);
}

/** An attempt that is not live here: whether it is known all the same. What may not be was read for this step. */
export function isKnown(state: ControlState, id: string): boolean {
  return state.attempts.has(id) || recentAttempt(state, id) !== undefined || (state.loaded.attempts.get(id) ?? null) !== null;
}

export function recentAttempt(state: ControlState, id: string): AttemptRecord | undefined {
  return state.batch.attempts.get(id) ?? state.previous.attempts.get(id);
}
