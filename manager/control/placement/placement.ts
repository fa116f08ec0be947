import type { Dice } from "../../../schema/given.ts";
import type { Labels } from "../../../schema/task.ts";
import type { Capacity, Facts, Load } from "../../../schema/worker.ts";

/** A worker that may take new attempts, as a placement sees it. */
export interface OpenWorker {
  readonly id: string;
  readonly labels: Labels;
  readonly facts: Facts;
  readonly capacity: Capacity;
  readonly free: Capacity;
  readonly load: Load | undefined;
  /** Attempts that have not ended. */
  readonly attempts: number;
}

/** The workers that are online, not draining and not full, in no particular order. Reading one is O(1); there may be 100,000. */
export interface OpenWorkers {
  readonly size: number;
  /** The worker at `index`, 0 ≤ index < size. An index names the same worker until one joins or leaves. */
  at(index: number): OpenWorker;
}

/** What is to be placed. */
export interface RunToPlace {
  readonly runId: string;
  readonly taskId: string;
  readonly labels: Labels;
  readonly requires: { readonly slots: number; readonly memoryMb: number; readonly cpus: number };
}

/**
 * A strategy for choosing a worker. It decides among the open workers for which `fits` holds (constraints, requirements);
 * it reads no clock and does no I/O. `undefined` means that none fits now; the run waits and is asked about again.
 */
export interface Placement {
  choose(run: RunToPlace, open: OpenWorkers, fits: (worker: OpenWorker) => boolean, dice: Dice): OpenWorker | undefined;
}

/**
 * What a placement's module exports as `default`: a maker, called once per pool. `MUSTER_PLACEMENT` names one of Muster's own
 * or the absolute path of a module.
 */
export type MakePlacement = () => Placement;
