import type { Dice } from "../../schema/given.ts";
import type { Clock, Timers } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { ControlOptions } from "../control/core.ts";
import type { EventRecord } from "../control/records.ts";
import type { LeaderStore } from "../store/store.ts";
import type { Released } from "./release.ts";
import type { EngineWatch } from "./watch.ts";

/** What an engine is given. */
export interface EngineDeps {
  readonly store: LeaderStore;
  readonly clock: Clock;
  /** This process's own when none are given; a simulation gives its own. */
  readonly timers?: Timers | undefined;
  readonly dice: Dice;
  readonly log: Log;
  readonly holder: string;
  readonly options: Omit<ControlOptions, "term">;
  readonly timing: {
    readonly leaseRenewMs: number;
    readonly leaseStillMs: number;
    readonly freeAfterMs?: number;
    readonly tickMs: number;
    readonly answerWithinMs: number;
  };
  readonly send: (workerId: string, term: number, command: Released["commands"][number]) => void;
  readonly onEvents: (events: readonly EventRecord[]) => void;
  /** It leads from now on, or does not any more, or somebody else leads than before. Must return at once. */
  readonly onLead?: () => void;
  readonly watch?: EngineWatch;
}
