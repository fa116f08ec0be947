/** A binary heap of things with a number: the smallest comes out first, equal ones in no particular order. */
export interface Heap<T> {
  readonly keys: number[];
  readonly items: T[];
}

export function makeHeap<T>(): Heap<T> {
  return { keys: [], items: [] };
}

export function push<T>(heap: Heap<T>, key: number, item: T): void {
  const { keys, items } = heap;
  let at = keys.length;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if ((keys[parent] as number) <= key) break;
    keys[at] = keys[parent] as number;
    items[at] = items[parent] as T;
    at = parent;
  }
  keys[at] = key;
  items[at] = item;
}

/** The smallest, left where it is; undefined when there is none. */
export function peek<T>(heap: Heap<T>): { readonly key: number; readonly item: T } | undefined {
  return heap.keys.length === 0 ? undefined : { key: heap.keys[0] as number, item: heap.items[0] as T };
}

export function pop<T>(heap: Heap<T>): { readonly key: number; readonly item: T } | undefined {
  const first = peek(heap);
  const key = heap.keys.pop();
  const item = heap.items.pop();
  if (first === undefined || key === undefined || heap.keys.length === 0) return first;
  sink(heap, key, item as T);
  return first;
}

/** Throws out what shall not be kept. Takes time for each entry, so it is done when there are twice as many as the last time. */
export function compact<T>(heap: Heap<T>, isKept: (key: number, item: T) => boolean): void {
  const { keys, items } = heap;
  let size = 0;
  for (const [at, key] of keys.entries()) {
    const item = items[at] as T;
    if (!isKept(key, item)) continue;
    keys[size] = key;
    items[size] = item;
    size += 1;
  }
  keys.length = size;
  items.length = size;
  for (let at = (size >> 1) - 1; at >= 0; at -= 1) sink(heap, keys[at] as number, items[at] as T, at);
}

/** Puts an entry in this place and lets it sink to where it belongs. */
function sink<T>({ keys, items }: Heap<T>, key: number, item: T, from = 0): void {
  const size = keys.length;
  let at = from;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && (keys[child + 1] as number) < (keys[child] as number)) child += 1;
    if ((keys[child] as number) >= key) break;
    keys[at] = keys[child] as number;
    items[at] = items[child] as T;
    at = child;
  }
  keys[at] = key;
  items[at] = item;
}
