import { pause } from "../../schema/kit/backoff.ts";
import type { Timers } from "../../schema/kit/clock.ts";
import type { LeaderStore } from "../store/store.ts";

/** Of what an engine is given. */
export interface KeepLeaseDeps {
  readonly store: Pick<LeaderStore, "leaseIsLock" | "renewLease">;
  readonly options: { readonly pool: string };
  readonly timing: { readonly leaseRenewMs: number };
  readonly timers?: Timers | undefined;
}

/**
 * The same read, with the lease kept while its first try is under way. A leader that waits for a slow database commits nothing, and a
 * row that stands still is taken (rule 18): two managers whose loading takes longer than that would take the lease from each other for
 * ever. Not after an error: whoever cannot read must not keep it from a manager that can.
 */
export function keepingLease<T>(read: () => Promise<T>, term: number, deps: KeepLeaseDeps): () => Promise<T> {
  let isFirst = !deps.store.leaseIsLock;
  return async () => {
    if (!isFirst) return await read();
    isFirst = false;
    const done = new AbortController();
    void renewUntil(done.signal, term, deps);
    try {
      return await read();
    } finally {
      done.abort();
    }
  };
}

/** A renewal that fails, or is not ours any more, changes nothing here: the next commit learns of it under its term. */
async function renewUntil(signal: AbortSignal, term: number, { store, options, timing, timers }: KeepLeaseDeps): Promise<void> {
  for (;;) {
    await pause(timing.leaseRenewMs, signal, timers);
    if (signal.aborted) return;
    await store.renewLease(options.pool, term).catch(() => undefined);
  }
}
