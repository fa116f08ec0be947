/** What both cores are given with every step, because they may not fetch it: time and chance. */

/** `mono`: milliseconds of a clock that never jumps. `wall`: milliseconds since 1970, only for instants that are shown (rule 10). */
export interface Now {
  readonly mono: number;
  readonly wall: number;
}

/** Random choices. A simulation gives a seeded source, so that every run of it is the same. */
export interface Dice {
  /** A fresh id of `[A-Za-z0-9_-]`, at most 36 characters of which at least 96 bits are chance, never given twice (rule 2). */
  id(): string;
  /** An integer from 0 up to, and not including, `n`. */
  below(n: number): number;
}
