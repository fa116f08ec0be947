import type { LaunchOrder, ProcessHost } from "./host.ts";
import type { PidMark } from "./pids.ts";
import type { Started } from "./records.ts";
import type { Shim } from "./shims.ts";

/** An attempt that this host has launched or adopted, until its end is told. */
export interface Tracked {
  readonly attempt: string;
  readonly limits: LaunchOrder["limits"];
  /** `queued`: its folder is not made. `launching`: a shim may have been told. `ending`: its tree is being emptied. */
  state: "queued" | "launching" | "running" | "ending";
  order: LaunchOrder | null;
  /** Null when it is an earlier agent's, or was given up. */
  shim: Shim | null;
  /** From before its launch; null when an earlier agent launched it. */
  born: PidMark | null;
  /**
   * Somebody acted on its shim: a signal, the watchdog, an earlier agent. Then there may be marks in its folder, and its shim
   * serves nobody after it: what was meant for this attempt must never reach another.
   */
  marked: boolean;
  /** It has a deadline, so the watchdog may act on its shim. */
  watched: boolean;
  started: Started | null;
  /** When its launch was first, and last, told to a shim. */
  firstSentMono: number;
  sentMono: number;
  /** What its progress file was when it was read last. */
  progressSeen: string;
  /** Signals that were asked for before its shim was known. */
  readonly early: (() => void)[];
}

export function track(attempt: string, limits: LaunchOrder["limits"], state: Tracked["state"]): Tracked {
  return {
    attempt,
    limits,
    state,
    order: null,
    shim: null,
    born: null,
    marked: false,
    watched: false,
    started: null,
    firstSentMono: 0,
    sentMono: 0,
    progressSeen: "",
    early: [],
  };
}

/** What a recovering agent asks about. */
export type RecoverAsk = Parameters<ProcessHost["recover"]>[0][number];
