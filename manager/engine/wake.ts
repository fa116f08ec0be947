/** Resolves when `delayMs` are over, the signal aborts, or what `hang` was given is called. */
export async function untilWoken(delayMs: number, signal: AbortSignal, hang: (wake: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done, { once: true });
    hang(done);
  });
}
