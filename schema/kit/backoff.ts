import { processTimers, type Timers } from "./clock.ts";

/**
 * Full-jitter exponential backoff: a delay drawn evenly from 0 to `min(maxMs, firstMs · 2^attempt)`.
 * `random` is a number in [0, 1). Full jitter spreads a fleet's reconnects evenly; equal delays would arrive as one wave.
 */
export function jitteredDelayMs(
  attempt: number,
  bounds: { readonly firstMs: number; readonly maxMs: number },
  random: number,
): number {
  return Math.round(random * doubledDelayMs(attempt, bounds));
}

/** The plain doubling delay: `firstMs`, twice that, … and never more than `maxMs`. `attempt` counts from 0. */
export function doubledDelayMs(attempt: number, bounds: { readonly firstMs: number; readonly maxMs: number }): number {
  return Math.min(bounds.maxMs, bounds.firstMs * 2 ** Math.min(attempt, 30));
}

/** Of what the end of somebody's patience is counted in. */
const partsOfPatience = 10;

/**
 * As `pause`, before somebody else is called silent: `ms` pass in parts, one after the other, so that an absence of this process (it
 * was stopped, or had no processor) counts as one part, and what arrived meanwhile is read before the time is up.
 */
export async function patience(ms: number, signal: AbortSignal, timers: Timers = processTimers): Promise<void> {
  for (let part = 0; part < partsOfPatience && !signal.aborted; part += 1) await pause(ms / partsOfPatience, signal, timers);
}

/** Resolves after `ms`, or at once when the signal aborts. Never rejects: the caller looks at the signal. */
export function pause(ms: number, signal: AbortSignal, timers: Timers = processTimers): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = timers.after(ms, done);
    signal.addEventListener("abort", done, { once: true });
  });
}
