/**
 * A page out of several streams that are each in order: one index serves each stream, so nothing is sorted by the
 * database and a page costs the same at any depth.
 */
export interface Stream<T> {
  /** The next rows after `after` (from the beginning when null), at most `limit`, in the list's order. */
  fetch(after: T | null, limit: number): Promise<readonly T[]>;
}

export interface MergeOptions<T> {
  readonly streams: readonly Stream<T>[];
  /** Where the page begins; null at the beginning. */
  readonly after: T | null;
  /** Negative when `a` comes first; 0 for the same row, which is taken once. */
  readonly compare: (a: T, b: T) => number;
  /** What no index could decide. */
  readonly keep: (row: T) => boolean;
  readonly limit: number;
  /** Rows that may be looked at; then the page is handed out as it is. */
  readonly scanRows: number;
}

export interface Merged<T> {
  readonly items: readonly T[];
  /** The row that the next page begins after; null at the end. */
  readonly last: T | null;
}

interface Head<T> {
  readonly stream: Stream<T>;
  rows: readonly T[];
  /** How many rows were asked for; fewer came when the stream is at its end. */
  asked: number;
  at: number;
}

/** A page that needs many rows gets them in few fetches. */
const rowsAskedMax = 500;

/** Merges the streams until the page is full, the streams are at their end or `scanRows` were looked at. */
export async function mergedPage<T>(options: MergeOptions<T>): Promise<Merged<T>> {
  const { limit, compare } = options;
  // One more than the page, to know whether there is a next one.
  const asked = limit + 1;
  const heads: Head<T>[] = await Promise.all(
    options.streams.map(async (stream) => ({ stream, rows: await stream.fetch(options.after, asked), asked, at: 0 })),
  );
  const items: T[] = [];
  let seen: T | null = null;
  for (let scanned = 0; ; scanned += 1) {
    const first = firstHead(heads, compare);
    if (!first) return { items, last: null };
    const row = first.rows[first.at] as T;
    const repeated = seen !== null && compare(seen, row) === 0;
    if (!repeated && options.keep(row)) {
      if (items.length === limit) return { items, last: items.at(-1) ?? null };
      items.push(row);
    } else if (scanned >= options.scanRows) {
      return { items, last: row };
    }
    seen = row;
    await advance(first);
  }
}

function firstHead<T>(heads: readonly Head<T>[], compare: (a: T, b: T) => number): Head<T> | undefined {
  let first: Head<T> | undefined;
  for (const head of heads) {
    if (head.at < head.rows.length && (!first || compare(head.rows[head.at] as T, first.rows[first.at] as T) < 0)) first = head;
  }
  return first;
}

async function advance<T>(head: Head<T>): Promise<void> {
  head.at += 1;
  if (head.at < head.rows.length || head.rows.length < head.asked) return;
  head.asked = Math.max(head.asked, Math.min(rowsAskedMax, head.asked * 4));
  head.rows = await head.stream.fetch(head.rows[head.at - 1] as T, head.asked);
  head.at = 0;
}
