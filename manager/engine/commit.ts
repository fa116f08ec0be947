import { doubledDelayMs, pause } from "../../schema/kit/backoff.ts";
import type { Timers } from "../../schema/kit/clock.ts";
import { StoreError, type Batch, type LeaderStore } from "../store/store.ts";

/**
 * What became of a batch. `numberUsed` with `failed`: whether an empty batch took its number, so that the next batch must
 * have the next one.
 */
export type CommitOutcome =
  | { readonly kind: "applied" }
  | { readonly kind: "deposed" }
  | { readonly kind: "failed"; readonly error: StoreError; readonly numberUsed: boolean }
  | { readonly kind: "stopped" };

export interface CommitDeps {
  readonly store: Pick<LeaderStore, "commit" | "readLease">;
  readonly signal: AbortSignal;
  /** Told of each try that failed for the time being; the engine closes its door until the batch holds. */
  readonly onTrouble: (error: StoreError) => void;
  readonly retry: { readonly firstMs: number; readonly maxMs: number };
  /** This process's own when none are given. */
  readonly timers?: Timers | undefined;
}

/** An error of a code that nobody classified is permanent at its third time (rule 19). */
const unclassifiedTries = 3;

/**
 * Commits one batch, however often that takes. Transient errors are tried again with the same number and content for ever;
 * after a try with an unknown outcome the lease row's `batch` tells whether it landed (rules 17 and 19).
 */
export async function commitUntilHeld(batch: Batch, deps: CommitDeps): Promise<CommitOutcome> {
  const told = await tryUntilAnswered(batch, deps);
  switch (told.kind) {
    case "applied":
    case "stopped":
      return told;
    case "unchanged":
      return told.unknown ? await whatLanded(batch, deps) : { kind: "deposed" };
    case "refused":
      return await settleFailure(batch, told.error, told.unknown, deps);
  }
}

/** What the store said in the end; `unknown`: after a try that may have landed, or may land yet. */
type Told =
  | { readonly kind: "applied" | "stopped" }
  | { readonly kind: "unchanged"; readonly unknown: boolean }
  | { readonly kind: "refused"; readonly error: StoreError; readonly unknown: boolean };

async function tryUntilAnswered(batch: Batch, deps: CommitDeps): Promise<Told> {
  let unknown = false;
  let unclassified = 0;
  for (let tries = 0; !deps.signal.aborted; tries += 1) {
    try {
      const result = await deps.store.commit(batch);
      return result === "applied" ? { kind: "applied" } : { kind: "unchanged", unknown };
    } catch (cause) {
      if (!(cause instanceof StoreError)) unclassified += 1;
      const error = asStoreError(cause, unclassified);
      if (!error.outcomeKnown) unknown = true;
      deps.onTrouble(error);
      if (error.kind === "permanent") return { kind: "refused", error, unknown };
      await pause(doubledDelayMs(tries, deps.retry), deps.signal, deps.timers);
    }
  }
  return { kind: "stopped" };
}

function asStoreError(cause: unknown, unclassified: number): StoreError {
  if (cause instanceof StoreError) return cause;
  const kind = unclassified >= unclassifiedTries ? "permanent" : "transient";
  return new StoreError(kind, false, cause instanceof Error ? cause.message : String(cause), { cause });
}

/** The batch changed no row, after a try of ours that may have landed: the lease row says which it was. */
async function whatLanded(batch: Batch, deps: CommitDeps): Promise<CommitOutcome> {
  for (let tries = 0; !deps.signal.aborted; tries += 1) {
    try {
      const lease = await deps.store.readLease(batch.pool);
      return lease?.term === batch.term && lease.batch === batch.batch ? { kind: "applied" } : { kind: "deposed" };
    } catch (cause) {
      deps.onTrouble(asStoreError(cause, 0));
      await pause(doubledDelayMs(tries, deps.retry), deps.signal, deps.timers);
    }
  }
  return { kind: "stopped" };
}

/**
 * The rows cannot be. If an earlier try may have landed all the same, an empty batch of the same number decides: it changes
 * a row exactly when that try did not land (rule 19). Only an answer decides: when the empty batch's own was lost, either of the
 * two may be what landed, and no one may be told that it was refused. Then it is as with a lost term: everything is thrown away
 * and loaded again.
 */
async function settleFailure(batch: Batch, error: StoreError, unknown: boolean, deps: CommitDeps): Promise<CommitOutcome> {
  if (!unknown) return { kind: "failed", error, numberUsed: false };
  const empty = await tryUntilAnswered({ ...batch, changes: [] }, deps);
  if (empty.kind === "stopped") return { kind: "stopped" };
  if (empty.kind === "applied") return { kind: "failed", error, numberUsed: true };
  return empty.kind === "unchanged" && !empty.unknown ? await whatLanded(batch, deps) : { kind: "deposed" };
}

/**
 * Reads until it works: a store that is away for the time being is waited for. Any other error is thrown, one of a code that
 * nobody classified at its third time; so is the last one when the signal aborts.
 */
export async function readUntilHeld<T>(
  read: () => Promise<T>,
  deps: Pick<CommitDeps, "signal" | "onTrouble" | "retry" | "timers">,
): Promise<T> {
  let unclassified = 0;
  for (let tries = 0; ; tries += 1) {
    try {
      return await read();
    } catch (cause) {
      if (!(cause instanceof StoreError)) unclassified += 1;
      const error = asStoreError(cause, unclassified);
      if (error.kind === "permanent" || deps.signal.aborted) throw error;
      deps.onTrouble(error);
      await pause(doubledDelayMs(tries, deps.retry), deps.signal, deps.timers);
    }
  }
}
