/** What telemetry sees of the engine. It runs between a commit and its answers, so whoever listens counts and returns. */
import type { Step } from "../control/outputs.ts";
import type { Waiting } from "./queue.ts";

/** A batch that holds; nothing of it has left yet. */
export interface HeldBatch {
  readonly pool: string;
  readonly taken: readonly Waiting[];
  /** One per input, in order; the last is that of `place`. */
  readonly steps: readonly Step[];
  /** How many changes were committed, folded. */
  readonly changes: number;
  readonly times: BatchTimes;
}

/** Mono ms: the first input was about to be stepped, all inputs were, what waited was placed, the commit held. */
export interface BatchTimes {
  readonly begunMs: number;
  readonly inputsMs: number;
  readonly placedMs: number;
  readonly heldMs: number;
}

export interface EngineWatch {
  held(batch: HeldBatch): void;
  /** The store has failed a commit or a read; it is tried again. */
  storeFailed?(pool: string): void;
  /** So many requests were not stepped, because nobody waited for their answers any more. */
  requestsLeft?(pool: string, count: number): void;
  /** An input that no commit can hold was kept for an operator. */
  setAside?(pool: string): void;
}

/** Several that watch, as one. */
export function watchTogether(watches: readonly EngineWatch[]): EngineWatch {
  return {
    held: (batch) => {
      for (const watch of watches) watch.held(batch);
    },
    storeFailed: (pool) => {
      for (const watch of watches) watch.storeFailed?.(pool);
    },
    requestsLeft: (pool, count) => {
      for (const watch of watches) watch.requestsLeft?.(pool, count);
    },
    setAside: (pool) => {
      for (const watch of watches) watch.setAside?.(pool);
    },
  };
}
