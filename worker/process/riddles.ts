/** Processes whose environment is empty and should not be, so that nobody can tell whose they are. */
import { processClock } from "../../schema/kit/clock.ts";
import { processLimits } from "./limits.ts";
import { readStat } from "./proc.ts";

export interface Riddles {
  /** `tagged` as it was read just now; but undefined instead of null for a process that stays a riddle. */
  solved(pid: number, tagged: string | undefined | null): string | undefined | null;
  /** To be called after each look: who was no riddle in it is forgotten. */
  forget(): void;
}

interface Riddle {
  readonly image: string;
  readonly sinceMs: number;
  looks: number;
}

/**
 * During execve(2) and on the way out an environment is empty for a moment. It is for good where a process unmapped what it
 * was born with, as the sandboxes of some container runtimes do, or hangs in the kernel: without a memory of those, every end
 * would wait for such a stranger anew.
 */
export function makeRiddles(): Riddles {
  let known = new Map<number, Riddle>();
  let met = new Map<number, Riddle>();
  return {
    solved: (pid, tagged) => {
      const before = met.get(pid) ?? known.get(pid);
      if (tagged !== null) {
        met.delete(pid);
        known.delete(pid);
        return tagged;
      }
      const stat = readStat(pid);
      const nowMs = processClock.now().mono;
      const image = `${stat?.startTicks} ${stat?.image}`;
      const riddle = before?.image === image ? before : { image, sinceMs: nowMs, looks: 0 };
      met.set(pid, riddle);
      riddle.looks++;
      // With its program in place it became no other one in between; else only time tells.
      const stays =
        stat?.environment === undefined
          ? nowMs - riddle.sinceMs >= processLimits.lookGivenUpMs
          : riddle.looks >= processLimits.riddleLooks;
      return stays ? undefined : null;
    },
    forget: () => {
      known = met;
      met = new Map();
    },
  };
}
