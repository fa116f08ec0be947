/** The mark that a database was taken back in time (rule 28), made while no manager leads. */
import { pause } from "../schema/kit/backoff.ts";
import type { Clock } from "../schema/kit/clock.ts";
import { boundedSentence } from "../schema/end.ts";
import type { Change } from "./control/changes.ts";
import type { HoldRecord } from "./control/records.ts";
import { parseHolder } from "./peers/holder.ts";
import type { LeaseRow, Store } from "./store/store.ts";

export interface MarkOptions {
  /** Null: every pool of the database. */
  readonly pools: readonly string[] | null;
  /** Who says so, and why they put it back. */
  readonly by: string;
  readonly byReason: string | null;
  readonly clock: Clock;
  /** A lease that moves within this time is somebody's (rule 18). */
  readonly stillMs: number;
  readonly signal: AbortSignal;
}

/** Who is named in the lease while the mark is made. */
const holder = "muster restored";

/** The terms that were used in the time that is lost are not known; none of them is as far away as this. */
const termsLost = 1_000;

type MarkStore = Pick<Store, "leaseIsLock" | "leases" | "holds" | "lastEvents" | "takeLease" | "commit" | "releaseLease">;

/**
 * Marks the pools, durably, and returns their names. Doing it again is harmless. Throws a sentence, having changed nothing of a
 * pool, when a manager leads it, and when there is no such pool.
 */
export async function markRestored(store: MarkStore, options: MarkOptions): Promise<readonly string[]> {
  const before = wanted(await store.leases(), options.pools);
  if (!store.leaseIsLock) await untilStill(store, before, options);
  const marked: string[] = [];
  for (const lease of before) {
    await markOne(store, lease, options);
    marked.push(lease.pool);
  }
  return marked;
}

function wanted(leases: readonly LeaseRow[], pools: readonly string[] | null): readonly LeaseRow[] {
  if (leases.length === 0)
    throw new Error("the database has no pools: no manager has ever led with it, so there is nothing to hold");
  if (pools === null) return leases;
  const known = leases.map(({ pool }) => pool);
  const missing = pools.filter((pool) => !known.includes(pool));
  if (missing.length > 0) throw new Error(`the database has no pool ${missing.join(", ")}; it has ${known.join(", ")}`);
  return leases.filter(({ pool }) => pools.includes(pool));
}

/** A restored lease row names whoever led when the backup was made; only one that moves is led by somebody now. */
async function untilStill(store: MarkStore, before: readonly LeaseRow[], { clock, stillMs, signal }: MarkOptions): Promise<void> {
  const untilMs = clock.now().mono + stillMs;
  while (clock.now().mono < untilMs) {
    await pause(Math.min(stillMs / 6, untilMs - clock.now().mono), signal);
    if (signal.aborted) throw new Error("nothing was marked: it was told to stop");
    const now = await store.leases();
    for (const lease of before)
      if (
        !isSame(
          lease,
          now.find(({ pool }) => pool === lease.pool),
        )
      )
        throw led(lease.pool, now);
  }
}

function isSame(a: LeaseRow, b: LeaseRow | undefined): boolean {
  return a.term === b?.term && a.batch === b.batch && a.beat === b.beat;
}

function led(pool: string, leases: readonly LeaseRow[]): Error {
  const lease = leases.find((row) => row.pool === pool);
  const who = parseHolder(lease?.holder ?? "")?.name ?? "a manager";
  return new Error(
    `${who} leads the pool ${pool} (term ${lease?.term ?? 0}): stop all managers first, then mark the database again`,
  );
}

async function markOne(store: MarkStore, seen: LeaseRow, options: MarkOptions): Promise<void> {
  const { pool } = seen;
  const lease = await store.takeLease(pool, holder, seen, seen.term + termsLost);
  if (!lease) throw led(pool, await store.leases());
  try {
    const number = ((await store.lastEvents())[pool] ?? 0) + 1;
    const row = rowOf(pool, options);
    const isMarked = (await store.holds()).some((hold) => hold.pool === pool);
    const { pool: _, ...set } = row;
    const changes: Change[] = [isMarked ? { op: "updateHold", pool, set } : { op: "insertHold", row }, eventOf(row, number)];
    const result = await store.commit({ pool, term: lease.term, batch: lease.batch + 1, changes });
    if (result !== "applied") throw led(pool, await store.leases());
  } finally {
    // The managers that are started next need not wait for it to stand still.
    await store.releaseLease(pool, lease.term);
  }
}

function rowOf(pool: string, { by, byReason, clock }: MarkOptions): HoldRecord {
  const reason = byReason === null ? null : boundedSentence(byReason);
  const why = "an operator said that a backup was put back (muster restored)";
  return { pool, since: clock.now().wall, by: boundedSentence(by), byReason: reason, why, short: false, letGo: false };
}

function eventOf({ pool, since, by, byReason, why }: HoldRecord, number: number): Change {
  const none = { taskId: null, runId: null, attemptId: null, workerId: null };
  const data = { what: "restored", why, ...(byReason === null ? {} : { reason: byReason }) };
  return { op: "insertEvent", row: { pool, number, at: since, kind: "poolHeld", ...none, by, data } };
}
