import type { LeaderStore, LeaseRow } from "../store/store.ts";

/**
 * Takes the lease again, from ourselves, under a higher term; null when it is not ours any more. Safe to repeat when an answer
 * was lost: the row then tells that an earlier try was done.
 */
export async function retakeLease(
  store: Pick<LeaderStore, "readLease" | "takeLease">,
  pool: string,
  holder: string,
  term: number,
): Promise<LeaseRow | null> {
  const row = await store.readLease(pool);
  if (row?.holder !== holder) return null;
  return row.term > term ? row : await store.takeLease(pool, holder, row, term);
}
