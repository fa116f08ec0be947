/** One subscription to the plane's events for all requests that wait, so that a thousand waiters cost a batch no more than one. */
import { problem } from "../../schema/problem.ts";
import { apiLimits } from "../../schema/limits.ts";
import type { EventRecord } from "../control/records.ts";
import type { ControlPlane } from "../plane.ts";

export interface EventHub {
  /** Called at each event of the run; returns how to stop. 429 when too many wait. */
  onRun(runId: string, listener: (event: EventRecord) => void): () => void;
  /** Called with each batch; returns how to stop. */
  onAll(listener: (events: readonly EventRecord[]) => void): () => void;
  close(): void;
}

/** Listens from now on. */
export function makeEventHub(plane: Pick<ControlPlane, "onEvents">): EventHub {
  const byRun = new Map<string, Set<(event: EventRecord) => void>>();
  const all = new Set<(events: readonly EventRecord[]) => void>();
  let waiting = 0;
  const close = plane.onEvents((events) => {
    for (const listener of all) listener(events);
    if (byRun.size === 0) return;
    for (const event of events) {
      if (event.runId === null) continue;
      for (const listener of byRun.get(event.runId) ?? []) listener(event);
    }
  });
  return {
    onRun(runId, listener) {
      if (waiting >= apiLimits.waitingReads) {
        throw problem("too-many", `${apiLimits.waitingReads} requests wait for runs already; ask again without waiting`, {
          retryAfterSeconds: 1,
        });
      }
      waiting += 1;
      const listeners = byRun.get(runId) ?? new Set();
      byRun.set(runId, listeners);
      listeners.add(listener);
      return () => {
        if (!listeners.delete(listener)) return;
        waiting -= 1;
        if (listeners.size === 0 && byRun.get(runId) === listeners) byRun.delete(runId);
      };
    },
    onAll(listener) {
      all.add(listener);
      return () => all.delete(listener);
    },
    close,
  };
}
