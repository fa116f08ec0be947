import type { Clock } from "../../schema/kit/clock.ts";
import { processLimits } from "./limits.ts";
import { hasProgram } from "./proc.ts";
import { shimAlive, type Started } from "./records.ts";

/**
 * Acts once the program is there to take a signal, a moment after its shim is: a shell loses what it catches between fork and
 * exec, however long the host lets it stand there. What hangs before its program is waited for `programMs`, and not at all once
 * its shim or the attempt is at its end.
 */
export function whenProgram(
  started: Started,
  host: { readonly bootId: string; readonly clock: Clock; readonly lives: () => boolean },
  act: () => void,
): void {
  const untilMs = host.clock.now().mono + processLimits.programMs;
  const look = (againMs: number): void => {
    const wait = shimAlive(started, host.bootId) && !hasProgram(started.pid) && host.lives() && host.clock.now().mono < untilMs;
    if (wait) setTimeout(() => look(Math.min(againMs * 2, processLimits.programLookMaxMs)), againMs);
    else act();
  };
  look(processLimits.programLookMs);
}
