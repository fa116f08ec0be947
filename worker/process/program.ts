import type { Clock } from "../../schema/kit/clock.ts";
import { processLimits } from "./limits.ts";
import { hasProgram } from "./proc.ts";
import { shimAlive, type Started } from "./records.ts";

/**
 * Acts once the program is there to take a signal, a moment after its shim is: a shell loses what it catches between fork and
 * exec. What never becomes a program is waited for `programMs`, and not at all once its shim or the attempt is at its end.
 */
export function whenProgram(
  started: Started,
  host: { readonly bootId: string; readonly clock: Clock; readonly lives: () => boolean },
  act: () => void,
): void {
  const untilMs = host.clock.now().mono + processLimits.programMs;
  const look = (): void => {
    const wait = shimAlive(started, host.bootId) && !hasProgram(started.pid) && host.lives() && host.clock.now().mono < untilMs;
    if (wait) setTimeout(look, processLimits.programLookMs);
    else act();
  };
  look();
}
