/** The control plane as the API sees it: the engines of this manager, and the leaders of pools that others lead. */
import type { RunState } from "../schema/run.ts";
import type { Alarm, PoolLive, WorkerLive } from "./control/core.ts";
import type { Request } from "./control/inputs.ts";
import type { Outcome } from "./control/outputs.ts";
import type { EventRecord } from "./control/records.ts";

/** A run as its committed row has it. */
export interface ShownRun {
  readonly id: string;
  readonly pool: string;
  readonly state: RunState;
}

/** Why a run that is not terminal waits, in one sentence; null when there is nothing to say. */
export type ReasonOf = (run: ShownRun) => string | null;

/** What only a leader's memory knows of a worker; of one whose leader does not answer, only `reason` says that. */
export type WorkerLiveOf = (worker: { readonly id: string; readonly pool: string }) => Partial<WorkerLive> | null;

export interface Check {
  readonly name: string;
  readonly status: "pass" | "warn" | "fail";
  readonly sentence: string;
}

export interface ControlPlane {
  /** The pools that this manager serves: it leads them, or waits to. */
  readonly pools: readonly string[];
  /** Whether requests for the pool have where to go: it is served here, or by another manager of this database. */
  serves(pool: string): Promise<boolean>;
  /** True where no other manager can be on the same database. */
  readonly alone: boolean;
  /** What the store's trouble is while a pool served here is in it: then nobody need wait for a read to learn it. */
  readonly trouble: string | undefined;
  /**
   * Steps the request, here or at the manager that leads the pool, and resolves once its effects are durable. Rejects with a
   * `ProblemError`: what the core says, or `not-taken` (never stepped) or `outcome-unknown` (rule 20). Aborting `gone` says that nobody
   * waits any more: what was not stepped by then never is, and what was goes on.
   */
  ask(pool: string, request: Request, gone?: AbortSignal): Promise<Outcome>;
  /** Why these runs wait; where they are led elsewhere, one question for all of them. A leader that does not answer is what the sentence says. */
  reasonsOf(runs: readonly ShownRun[]): Promise<ReasonOf>;
  /** The same for workers. */
  workersLive(workers: readonly { readonly id: string; readonly pool: string }[]): Promise<WorkerLiveOf>;
  /** What holds a pool, as its leader knows it; one sentence where no leader answers. */
  poolHeld(pool: string): Promise<PoolLive | { readonly unknown: string }>;
  alarms(): Promise<readonly Alarm[]>;
  /** One line per thing that `/health` checks; `fail` makes the whole fail. */
  checks(): Promise<readonly Check[]>;
  /** Whether requests would be taken now: led here or forwarded, and the last commit held. For `/readyz`. */
  ready(): Promise<{ readonly ready: boolean; readonly sentence: string }>;
  /** Called with events of every pool after they are durable, in order within a pool; returns how to stop. */
  onEvents(listener: (events: readonly EventRecord[]) => void): () => void;
  /** Resolves when those who listen will be told of everything that is committed from now on, here or by another manager. */
  hearing(): Promise<void>;
}
