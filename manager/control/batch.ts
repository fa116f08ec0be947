import { trim } from "./cache.ts";
import type { BatchMemory, ControlState } from "./state.ts";

export function makeBatchMemory(): BatchMemory {
  return { runs: new Map(), attempts: new Map(), fresh: 0 };
}

/** The first input after a `place` begins a new batch: what the last one wrote is in the store now, and may be read from there. */
export function beginBatch(state: ControlState): void {
  if (!state.batchEnded) return;
  state.batchEnded = false;
  state.batchNumber += 1;
  state.previous = state.batch;
  state.batch = makeBatchMemory();
  state.queue.paged = false;
  const { runs, attempts, liveRuns, poolOfWorker } = state.loaded;
  runs.clear();
  attempts.clear();
  liveRuns.clear();
  poolOfWorker.clear();
  trim(state.tasks);
  trim(state.names);
  trim(state.versions);
  trim(state.keys);
}
