/**
 * Ended spans on their way to the SDK, bounded and counted. The SDK's own queue drops what it has no room for and hardly says
 * so; here one export at a time is handed to it and waited for, so that what was taken, what failed and what found no room is
 * known exactly, and an endpoint that is away costs this much memory and no more.
 */
import { tracingLimits } from "../../limits/tracing.ts";
import { doubledDelayMs, patience, pause } from "../backoff.ts";
import type { Log } from "../log.ts";
import type { TracingFigures } from "../tracing.ts";

export interface SpanQueueDeps {
  /** Resolves when the endpoint has taken every span that was ended, rejects when it did not. */
  readonly flush: () => Promise<void>;
  readonly monoMs: () => number;
  readonly log: Log;
  readonly limits?: Partial<Record<keyof typeof tracingLimits, number>>;
}

export class SpanQueue {
  readonly figures: TracingFigures = { exported: 0, failed: 0, dropped: 0 };
  readonly #deps: SpanQueueDeps;
  readonly #limits: Readonly<Record<keyof typeof tracingLimits, number>>;
  readonly #closing = new AbortController();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #failures = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #told = 0;

  constructor(deps: SpanQueueDeps) {
    this.#deps = deps;
    this.#limits = { ...tracingLimits, ...deps.limits };
  }

  /** Takes an ended span; `end` hands it to the SDK. */
  push(end: () => void): void {
    if (this.#waiting.length >= this.#limits.waitingSpans || this.#closing.signal.aborted) {
      this.figures.dropped += 1;
      this.#tell("more spans wait than may");
      return;
    }
    this.#waiting.push(end);
    if (this.#draining) return;
    if (this.#waiting.length >= this.#limits.spansPerExport) this.#drainSoon();
    else this.#timer ??= setTimeout(() => this.#drainSoon(), this.#limits.gatherMs).unref();
  }

  /** Exports what waits, once; what is not taken within `closeMs` is given up and counted. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#closing.abort();
    const enough = new AbortController();
    await Promise.race([this.#lastWords(enough.signal), patience(this.#limits.closeMs, enough.signal)]);
    enough.abort();
    const left = this.#waiting.splice(0).length;
    if (left > 0) {
      this.figures.dropped += left;
      this.#toldMs = Number.NEGATIVE_INFINITY;
      this.#tell("the process ends");
    }
  }

  async #lastWords(enough: AbortSignal): Promise<void> {
    await this.#draining;
    while (this.#waiting.length > 0 && !enough.aborted) if (!(await this.#exportOne())) return;
  }

  #drainSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      if (await this.#exportOne()) {
        this.#failures = 0;
        continue;
      }
      const { pauseFirstMs, pauseMaxMs } = this.#limits;
      await pause(doubledDelayMs(this.#failures, { firstMs: pauseFirstMs, maxMs: pauseMaxMs }), this.#closing.signal);
      this.#failures += 1;
    }
  }

  async #exportOne(): Promise<boolean> {
    const chunk = this.#waiting.splice(0, this.#limits.spansPerExport);
    for (const end of chunk) end();
    try {
      await this.#deps.flush();
      this.figures.exported += chunk.length;
      return true;
    } catch (error) {
      this.figures.failed += chunk.length;
      this.#tell(reasonOf(error));
      return false;
    }
  }

  #tell(why: string): void {
    const nowMs = this.#deps.monoMs();
    const lost = this.figures.failed + this.figures.dropped;
    if (lost === this.#told || nowMs - this.#toldMs < this.#limits.logMs) return;
    this.#toldMs = nowMs;
    this.#told = lost;
    this.#deps.log.warn({ ...this.figures, why }, "spans are lost: they were not exported");
  }
}

/** The SDK gathers what its processors rejected with. */
function reasonOf(error: unknown): string {
  const first: unknown = Array.isArray(error) ? error[0] : error;
  if (!(first instanceof Error)) return String(first);
  return first.message === "" && "code" in first ? String(first.code) : first.message;
}
