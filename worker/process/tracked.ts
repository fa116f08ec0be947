import type { LaunchOrder, ProcessHost } from "./host.ts";
import type { Started } from "./records.ts";

/** An attempt that this host has launched or adopted, until its end is told. */
export interface Tracked {
  readonly attempt: string;
  readonly limits: LaunchOrder["limits"];
  /** `queued`: its folder is not made. `launching`: the launcher may have been told. `ending`: its tree is being emptied. */
  state: "queued" | "launching" | "running" | "ending";
  order: LaunchOrder | null;
  started: Started | null;
  /** When its launch was first, and last, told to the launcher. */
  firstSentMono: number;
  sentMono: number;
  progressMtimeMs: number;
  /** Signals that were asked for before its shim was known. */
  readonly early: (() => void)[];
}

export function track(attempt: string, limits: LaunchOrder["limits"], state: Tracked["state"]): Tracked {
  return { attempt, limits, state, order: null, started: null, firstSentMono: 0, sentMono: 0, progressMtimeMs: 0, early: [] };
}

/** What a recovering agent asks about. */
export type RecoverAsk = Parameters<ProcessHost["recover"]>[0][number];
