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
  /** Resolves when those who listen are told of everything that is committed from now on: then is the time to read the store. */
  hearing(): Promise<void>;
  close(): void;
}

/** Listens to the plane while anybody listens here. */
export function makeEventHub(plane: Pick<ControlPlane, "onEvents" | "hearing">): EventHub {
  const byRun = new Map<string, Set<(event: EventRecord) => void>>();
  const all = new Set<(events: readonly EventRecord[]) => void>();
  let waiting = 0;
  let stop: (() => void) | undefined;
  const tell = (events: readonly EventRecord[]): void => {
    for (const listener of all) listener(events);
    if (byRun.size === 0) return;
    for (const event of events) {
      if (event.runId === null) continue;
      for (const listener of byRun.get(event.runId) ?? []) listener(event);
    }
  };
  const listen = (): void => {
    stop ??= plane.onEvents(tell);
  };
  const listenNoMore = (): void => {
    if (waiting + all.size > 0) return;
    stop?.();
    stop = undefined;
  };
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
      listen();
      return () => {
        if (!listeners.delete(listener)) return;
        waiting -= 1;
        if (listeners.size === 0 && byRun.get(runId) === listeners) byRun.delete(runId);
        listenNoMore();
      };
    },
    onAll(listener) {
      all.add(listener);
      listen();
      return () => {
        all.delete(listener);
        listenNoMore();
      };
    },
    hearing: () => plane.hearing(),
    close() {
      stop?.();
      stop = undefined;
    },
  };
}
