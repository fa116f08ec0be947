/** The world's time: events in order of their instant, ties in order of their making. */
interface Entry {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | undefined;
}

export class Schedule {
  nowMs = 0;
  /** Set by whoever resolved a promise: what hangs on it is done before the next event. */
  unsettled = false;
  #made = 0;
  readonly #heap: Entry[] = [];

  /** Calls `act` after so long; what it returns takes that back. */
  after(delayMs: number, act: () => void): () => void {
    this.#made += 1;
    const entry: Entry = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#made, act };
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return () => {
      entry.act = undefined;
    };
  }

  /** Runs the next event, and all that its promises cause; false when none is left before `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    for (;;) {
      const first = this.#heap[0];
      if (!first || first.atMs > untilMs) return false;
      const last = this.#heap.pop();
      if (last && this.#heap.length > 0) {
        this.#heap[0] = last;
        this.#down(0);
      }
      if (!first.act) continue;
      this.nowMs = first.atMs;
      first.act();
      if (this.unsettled) {
        this.unsettled = false;
        // Every microtask runs before the next turn of the event loop, however long the chain.
        await new Promise((resolve) => setImmediate(resolve));
      }
      return true;
    }
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (!x || !y) return false;
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (!x || !y) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }

  #up(index: number): void {
    for (let i = index; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(index: number): void {
    for (let i = index; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (left < this.#heap.length && this.#before(left, least)) least = left;
      if (right < this.#heap.length && this.#before(right, least)) least = right;
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }
}
