/** Attempts by the instant at which something must be done about them: a heap, so that thousands of them cost a step nothing. */

interface DueItem {
  readonly mono: number;
  readonly attempt: string;
}

/** A min-heap by `mono`. Items are never taken back: whoever pops one looks whether it still holds. */
export interface DueHeap {
  items: DueItem[];
}

/** Adds an instant, in mono ms. */
export function pushDue(heap: DueHeap, mono: number, attempt: string): void {
  const { items } = heap;
  items.push({ mono, attempt });
  let at = items.length - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (monoAt(items, above) <= mono) break;
    swap(items, at, above);
    at = above;
  }
}

/** The earliest item, left in place. */
export function peekDue(heap: DueHeap): DueItem | undefined {
  return heap.items[0];
}

/** Takes the earliest item out. */
export function popDue(heap: DueHeap): DueItem | undefined {
  const { items } = heap;
  const first = items[0];
  const last = items.pop();
  if (first === undefined || last === undefined || items.length === 0) return first;
  items[0] = last;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    if (left >= items.length) return first;
    const right = left + 1;
    const least = right < items.length && monoAt(items, right) < monoAt(items, left) ? right : left;
    if (monoAt(items, least) >= last.mono) return first;
    swap(items, at, least);
    at = least;
  }
}

function monoAt(items: readonly DueItem[], at: number): number {
  return (items[at] as DueItem).mono;
}

function swap(items: DueItem[], a: number, b: number): void {
  const kept = items[a] as DueItem;
  items[a] = items[b] as DueItem;
  items[b] = kept;
}
