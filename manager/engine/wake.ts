import { processTimers, type Timers } from "../../schema/kit/clock.ts";

/** Resolves when `delayMs` are over, the signal aborts, or what `hang` was given is called. */
export async function untilWoken(
  delayMs: number,
  { signal, timers = processTimers }: { readonly signal: AbortSignal; readonly timers: Timers | undefined },
  hang: (wake: () => void) => void,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = timers.after(delayMs, done);
    signal.addEventListener("abort", done, { once: true });
    hang(done);
  });
}

/** Resolves once everything that has arrived by now was read. */
export async function untilArrived(timers: Timers = processTimers): Promise<void> {
  await new Promise<void>((resolve) => timers.afterArrived(resolve));
}
