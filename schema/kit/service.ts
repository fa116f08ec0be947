/** Something with a loop. start() begins it; stop() returns once nothing of it runs. Starting or stopping twice is legal. */
export abstract class Service implements AsyncDisposable {
  #run: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  abstract readonly name: string;

  /** Runs until the signal aborts. A rejection is a bug and reaches whoever looks at `failed` or awaits `stop()`. */
  protected abstract loop(signal: AbortSignal): Promise<void>;

  start(): void {
    if (this.#run) return;
    const stop = new AbortController();
    this.#run = { stop, done: this.loop(stop.signal) };
  }

  /** Resolves with the error when the loop fails; never when it ends as it was told to. */
  get failed(): Promise<unknown> {
    const { done } = this.#run ?? { done: Promise.resolve() };
    return new Promise((resolve) => void done.catch(resolve));
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (!run) return;
    run.stop.abort(`${this.name} stops`);
    await run.done;
    // Someone may have started it anew while we waited; that run is not ours to forget.
    if (this.#run === run) this.#run = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
