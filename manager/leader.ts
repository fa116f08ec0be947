import { pause } from "../schema/kit/backoff.ts";
import type { Clock, Timers } from "../schema/kit/clock.ts";
import type { LeaderStore, LeaseRow } from "./store/store.ts";

export interface LeaderDeps {
  readonly store: LeaderStore;
  readonly pool: string;
  /** Names this manager process in the lease row; shown to operators. */
  readonly holder: string;
  readonly clock: Clock;
  /** This process's own when none are given. */
  readonly timers?: Timers | undefined;
  /** `freeAfterMs`: a free lease is left to others for so long, who may prefer the pool. At once when not said. */
  readonly timing: { readonly leaseRenewMs: number; readonly leaseStillMs: number; readonly freeAfterMs?: number | undefined };
  readonly signal: AbortSignal;
  /** The lease could not be read or taken; the sentence says why. It is tried again. */
  readonly onTrouble: (error: Error) => void;
  /** The lease of somebody else as it was read: who leads now, or led last. Told at each look that went well. */
  readonly onSeen?: (row: LeaseRow | null) => void;
}

/**
 * Waits until this manager leads the pool and returns the lease as taken; undefined when the signal aborts first. A candidate
 * reads no other clock than its own: it takes `term + 1` after (term, batch, beat) stood still for `leaseStillMs` (rule 18).
 * Where an OS lock is the lease, holding the open store is all that is asked; and a lease that nobody had yet, or that its
 * holder gave back, is free.
 */
export async function becomeLeader(deps: LeaderDeps, aboveTerm: number): Promise<LeaseRow | undefined> {
  let seen: LeaseRow | null = null;
  // A database that is put back meanwhile does not take back what workers have obeyed.
  let above = aboveTerm;
  let stillSinceMs = deps.clock.now().mono;
  while (!deps.signal.aborted) {
    try {
      const row = await deps.store.readLease(deps.pool);
      above = Math.max(above, row?.term ?? 0);
      const nowMs = deps.clock.now().mono;
      if (!sameLease(row, seen)) {
        seen = row;
        stillSinceMs = nowMs;
      }
      const isFree = row === null || row.holder === "";
      const waitMs = deps.store.leaseIsLock ? 0 : isFree ? (deps.timing.freeAfterMs ?? 0) : deps.timing.leaseStillMs;
      if (nowMs - stillSinceMs >= waitMs) {
        const taken = await deps.store.takeLease(deps.pool, deps.holder, row, above);
        if (taken) return taken;
        stillSinceMs = nowMs;
      }
      deps.onSeen?.(row);
    } catch (error) {
      deps.onTrouble(error instanceof Error ? error : new Error(String(error)));
    }
    await pause(deps.timing.leaseRenewMs / 2, deps.signal, deps.timers);
  }
  return undefined;
}

/**
 * Gives the lease back, so that the next leader need not wait for it to stand still. A courtesy: what goes wrong, or takes
 * longer than `withinMs`, is only a wait for whoever comes next, and the term guards against all else.
 */
export async function giveLeaseBack(
  store: Pick<LeaderStore, "releaseLease">,
  lease: Pick<LeaseRow, "pool" | "term">,
  withinMs: number,
  timers?: Timers,
): Promise<void> {
  const given = store.releaseLease(lease.pool, lease.term).catch(() => undefined);
  const enough = new AbortController();
  await Promise.race([given, pause(withinMs, enough.signal, timers)]);
  enough.abort();
}

function sameLease(a: LeaseRow | null, b: LeaseRow | null): boolean {
  return a?.holder === b?.holder && a?.term === b?.term && a?.batch === b?.batch && a?.beat === b?.beat;
}
