import type { OpenWorker } from "./placement.ts";

/** How busy a worker is: attempts per slot, and its share of cpu as a tie-breaker far below one attempt. */
export function busyness(worker: OpenWorker): number {
  const share = worker.attempts / Math.max(1, worker.capacity.slots);
  return share + Math.min(1, worker.load?.cpu ?? 0) / 100_000;
}
