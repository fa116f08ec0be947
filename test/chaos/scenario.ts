/** One story of `npm run chaos`, told at full size by the script and at a small one by `npm test`. */

/** How much of a scenario is played. */
export interface Size {
  /** `small`: the same behaviour within seconds, for `npm test`. `full`: the numbers that the documentation speaks of. */
  readonly kind: "small" | "full";
  /** How often each case of a scenario that has cases is played; at least 1. */
  readonly rounds: number;
}

/** What was seen. A scenario that could not be set up throws; what went wrong in it is a violation. */
export interface Findings {
  /** Printed as they are, in this order: counts, and times with their unit in the name (`longestGapMs`). */
  readonly figures: Readonly<Record<string, number | string>>;
  /** One sentence for each promise that did not hold, with the run, attempt or request that it did not hold for. */
  readonly violations: readonly string[];
}

export interface Scenario {
  /** The word that `npm run chaos -- <name>` takes. */
  readonly name: string;
  /** What goes wrong in it and what must hold, in one sentence. */
  readonly about: string;
  /** Why it cannot be played on this machine (a program that is missing, no right to mount); undefined: it can. */
  readonly missing?: () => string | undefined;
  /** `say` prints a line of progress. */
  play(size: Size, say: (line: string) => void): Promise<Findings>;
}
