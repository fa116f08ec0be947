/**
 * The manager's core, whole: what it is given and what it decides. Pure: no clock, no chance, no I/O, no promises.
 *
 *   const state = createControl(options, live, now);
 *   for each input of a batch, and then once for { kind: "place" }:
 *     until needsOf(state, input) is empty: admit(state, what the store holds for it);
 *     step(state, input, now, dice)
 *
 * `step` changes the state in place; when a batch cannot be committed for good, the shell throws the state away and makes a
 * new one from the store (rule 19).
 */
import type { AlarmKind } from "../../schema/alarm.ts";
import type { Placement } from "./placement/placement.ts";
import type { ClockAhead } from "./fleet/worker-clock.ts";

export interface ControlTiming {
  readonly heartbeatMs: number;
  readonly unreachableIntervals: number;
  readonly startTtlIntervals: number;
  readonly workerLostIntervals: number;
  readonly resendFirstMs: number;
  readonly resendMaxMs: number;
  readonly startResendMs: number;
  readonly brakeHoldMs: number;
  readonly brakeReleasePerSecond: number;
  readonly watchdogTickMs: number;
  readonly fleetBeatsPerSecond: number;
}

export interface ControlOptions {
  readonly pool: string;
  readonly term: number;
  readonly timing: ControlTiming;
  readonly limits: {
    readonly queueWindow: number;
    readonly waitingRuns: number;
    readonly prefetch: number;
    readonly taskCache: number;
    readonly logStreamBytes: number;
  };
  readonly placement: Placement;
  /** HMAC of a ticket's text with the store's key (docs/words.md, ticket); pure, given because the key is not the core's. */
  readonly sign: (text: string) => string;
}

/** A worker as only the leader's memory knows it; it overlays the stored row. */
export interface WorkerLive {
  readonly used: { readonly slots: number; readonly memoryMb: number; readonly cpus: number };
  readonly load: { readonly cpu: number; readonly memoryMb: number } | null;
  readonly attempts: number;
  readonly lastSeenWall: number | null;
  readonly clockAhead: ClockAhead | null;
  readonly heartbeatMs: number;
  readonly reason: string | null;
}

export interface Alarm {
  readonly kind: AlarmKind;
  /** Wall ms. */
  readonly since: number;
  readonly sentence: string;
}

/** What holds a pool, as only its leader knows it. */
export interface PoolLive {
  readonly term: number;
  /** Of the hold of a restored database: what it waits for, one sentence; null when nothing is held. */
  readonly hold: string | null;
  /** Workers whose ledger is awaited, the first of them by id. */
  readonly waitsFor: readonly string[];
  /** The fleet brake; null when it does not hold. */
  readonly brake: { readonly sentence: string; readonly silent: number } | null;
}

/** Gauges for metrics and `/health`. */
export interface Figures {
  readonly queued: number;
  readonly oldestQueuedWall: number | null;
  readonly liveRuns: number;
  readonly liveAttempts: number;
  readonly workersByState: Readonly<Record<string, number>>;
}
