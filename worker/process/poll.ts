import { setImmediate as turn } from "node:timers/promises";
import type { Log } from "../../schema/kit/log.ts";
import type { Attempts } from "./attempts.ts";
import type { DeadlineFiles } from "./deadlines.ts";
import type { Doorbell } from "./doorbell.ts";
import { processLimits } from "./limits.ts";
import type { Shims } from "./shims.ts";

/**
 * Looks at every attempt about once a second: a shim that was killed rings no bell, and a ring can be lost. One timer for all
 * of them, in slices, so that thousands of attempts never hold up a heartbeat.
 */
export function startPoll(options: {
  readonly attempts: Attempts;
  readonly doorbell: Doorbell;
  readonly deadlines: DeadlineFiles;
  readonly shims: Shims;
  readonly log: Log;
}): { stop(): void } {
  const { attempts, doorbell, deadlines, shims, log } = options;
  let stopped = false;

  const round = async (): Promise<void> => {
    // Each by itself: what fails for one must not keep the others from being looked at.
    const failures: unknown[] = [];
    const attempted = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        failures.push(error);
      }
    };
    attempted(() => doorbell.look());
    attempted(() => deadlines.keepWatched());
    attempted(() => shims.tend());
    let looked = 0;
    for (const t of attempts.all()) {
      if (stopped) return;
      attempted(() => attempts.lookAfter(t));
      if (++looked % processLimits.looksPerTurn === 0) await turn();
    }
    // A disk that fails now may work at the next look; ending the agent would help nobody.
    if (failures.length > 0) log.error({ err: failures[0], count: failures.length }, "a look at the attempts failed");
  };
  const again = (): void => {
    timer = setTimeout(() => {
      void round().finally(() => {
        if (!stopped) again();
      });
    }, processLimits.pollMs);
  };
  let timer: NodeJS.Timeout;
  again();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
