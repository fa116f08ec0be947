import { pause } from "../../schema/kit/backoff.ts";
import type { Clock, Timers } from "../../schema/kit/clock.ts";
import type { LeaderStore } from "../store/store.ts";

/** Of what an engine is given. */
export interface KeepLeaseDeps {
  readonly store: Pick<LeaderStore, "leaseIsLock" | "renewLease">;
  readonly options: { readonly pool: string };
  readonly timing: { readonly leaseRenewMs: number };
  readonly clock: Clock;
  readonly timers?: Timers | undefined;
}

/** A lease of ours, for as long as the term holds. */
export interface KeptLease {
  readonly term: number;
  /** Mono ms at which the newest commit or renewal that held began: then the lease was ours. */
  keptMs: number;
}

/**
 * The same read, with the lease kept while its first try is under way. A leader that waits for a slow database commits nothing, and a
 * row that stands still is taken (rule 18): two managers whose reading takes longer than that would take the lease from each other for
 * ever. Many quick reads of one batch are as long as a slow one, so it is counted from when the lease was last kept. Not after an
 * error: whoever cannot read must not keep it from a manager that can.
 */
export function keepingLease<T>(read: () => Promise<T>, lease: KeptLease, deps: KeepLeaseDeps): () => Promise<T> {
  let isFirst = !deps.store.leaseIsLock;
  return async () => {
    if (!isFirst) return await read();
    isFirst = false;
    const done = new AbortController();
    void renewUntil(done.signal, lease, deps);
    try {
      return await read();
    } finally {
      done.abort();
    }
  };
}

/** A renewal that fails, or is not ours any more, changes nothing here: the next commit learns of it under its term. */
async function renewUntil(signal: AbortSignal, lease: KeptLease, deps: KeepLeaseDeps): Promise<void> {
  const { store, options, timing, clock, timers } = deps;
  for (let dueMs = lease.keptMs + timing.leaseRenewMs; ;) {
    await pause(Math.max(0, dueMs - clock.now().mono), signal, timers);
    if (signal.aborted) return;
    const begunMs = clock.now().mono;
    if (await store.renewLease(options.pool, lease.term).catch(() => false)) lease.keptMs = begunMs;
    dueMs = begunMs + timing.leaseRenewMs;
  }
}
