import type { LeaderStore, LeaseRow } from "../store/store.ts";

/** A renewal of our own that was on its way moves the row between the look and the take, once. */
const tries = 3;

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
  for (let left = tries; left > 0; left -= 1) {
    const row = await store.readLease(pool);
    if (row?.holder !== holder) return null;
    const taken = row.term > term ? row : await store.takeLease(pool, holder, row, term);
    if (taken) return taken;
  }
  return null;
}
