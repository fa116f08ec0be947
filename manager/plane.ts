/** The control plane as the API sees it; the engine is behind it. */
import type { Alarm, Figures, WorkerLive } from "./control/core.ts";
import type { Request } from "./control/inputs.ts";
import type { Outcome } from "./control/outputs.ts";
import type { EventRecord, RunRecord } from "./control/records.ts";

export interface ControlPlane {
  /** The pools that this manager leads or can forward to. */
  readonly pools: readonly string[];
  /**
   * Steps the request and resolves once its effects are durable. Rejects with a `ProblemError`: what the core says, or
   * `not-taken` (never stepped) or `outcome-unknown` (rule 20).
   */
  ask(pool: string, request: Request): Promise<Outcome>;
  /** Why a run that is not terminal in its row waits, in one sentence; null when this manager does not know. */
  reasonOf(run: Pick<RunRecord, "id" | "pool" | "state">): string | null;
  workerLive(pool: string, workerId: string): WorkerLive | null;
  figures(pool: string): Figures | null;
  alarms(): readonly Alarm[];
  /** One line per thing that `/health` checks; `fail` makes the whole fail. */
  checks(): Promise<readonly { readonly name: string; readonly status: "pass" | "warn" | "fail"; readonly sentence: string }[]>;
  /** Whether requests would be taken now: leads, and the last commit held. For `/readyz`. */
  ready(): { readonly ready: boolean; readonly sentence: string };
  /** Called with each batch of events after it is durable, in order; returns how to stop. */
  onEvents(listener: (events: readonly EventRecord[]) => void): () => void;
}
