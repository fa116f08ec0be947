/**
 * Rows that were read or written lately. The leader is the only writer of its pool, so what is here stays true; `null`
 * remembers that the store has none. Trimmed only between batches: a row that this batch wrote is not in the store yet.
 */
export interface Cache<T> {
  readonly rows: Map<string, T | null>;
  readonly limit: number;
}

export function makeCache<T>(limit: number): Cache<T> {
  return { rows: new Map(), limit };
}

/** The row, null when there is none, undefined when it must be read first. */
export function recall<T>(cache: Cache<T>, key: string): T | null | undefined {
  return cache.rows.get(key);
}

export function remember<T>(cache: Cache<T>, key: string, row: T | null): void {
  cache.rows.delete(key);
  cache.rows.set(key, row);
}

/** What the store holds, unless something newer is known. */
export function offer<T>(cache: Cache<T>, key: string, row: T | null): void {
  if (!cache.rows.has(key)) cache.rows.set(key, row);
}

/** Forgets the longest unchanged rows beyond the limit. */
export function trim<T>(cache: Cache<T>): void {
  let excess = cache.rows.size - cache.limit;
  for (const key of cache.rows.keys()) {
    if (excess <= 0) return;
    cache.rows.delete(key);
    excess -= 1;
  }
}
