import type { LeaseRow } from "../store/store.ts";

type Point = Pick<LeaseRow, "term" | "batch">;

/**
 * How far a pool's history has come, as this manager saw it in the lease row while it led and while it waited to. A term and the number
 * of a batch only rise, so a database that is behind was taken back in time (rule 28), even where no worker can tell: one that heard
 * nothing of the lost time, and one that is away.
 */
export class Furthest {
  #seen: Point = { term: 0, batch: 0 };
  /** The row as it was seen first under its term, behind what was seen before. */
  #behind: Point | undefined;

  /** Terms above this one were not used yet, as far as is known here. */
  get term(): number {
    return this.#seen.term;
  }

  /** The row was read, or a batch of our own holds that changed something: what only proves a lease is no loss. */
  see({ term, batch }: Point): void {
    if (term >= this.#seen.term && batch >= this.#seen.batch) {
      this.#seen = { term, batch };
      this.#behind = undefined;
    } else if (term > this.#seen.term && term === this.#behind?.term && batch > this.#behind.batch) {
      // Somebody has begun with it under a term of its own, and has held what had to be held.
      this.#seen = { term, batch };
      this.#behind = undefined;
    } else if (term !== this.#behind?.term) this.#behind = { term, batch };
  }

  /** Why the database that this lease was taken in lacks something that was in it; undefined when it does not. */
  lackedBy({ batch }: Point): string | undefined {
    if (batch >= this.#seen.batch) return undefined;
    return `the database is at batch ${batch} of its pool, and this manager saw batch ${this.#seen.batch} in it: it was taken back`;
  }
}
