/** Something with a loop. start() begins it; stop() returns once nothing of it runs. Starting or stopping twice is legal. */
export abstract class Service implements AsyncDisposable {
  #run: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  abstract readonly name: string;

  /** Runs until the signal aborts. A rejection is a bug and reaches whoever awaits `done` or `stop()`. */
  protected abstract loop(signal: AbortSignal): Promise<void>;

  start(): void {
    if (this.#run) return;
    const stop = new AbortController();
    this.#run = { stop, done: this.loop(stop.signal) };
  }

  /** Settles when the loop has ended, by itself or by stop(). */
  get done(): Promise<void> {
    return this.#run?.done ?? Promise.resolve();
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
