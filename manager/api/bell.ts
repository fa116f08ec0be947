/** One waiter and anybody who rings: a ring that comes before the wait is not lost. */
export interface Bell {
  ring(): void;
  /** True when it was rung, before or meanwhile; false after `ms` or when the signal aborts. One waiter at a time. */
  heard(ms: number, signal: AbortSignal): Promise<boolean>;
}

/** A bell that has not been rung. */
export function makeBell(): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async heard(ms, signal) {
      if (!rung && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
          signal.addEventListener("abort", wake, { once: true });
        });
        if (wake) signal.removeEventListener("abort", wake);
        wake = undefined;
      }
      const was = rung;
      rung = false;
      return was;
    },
  };
}
