/**
 * How far a worker's clock is from the manager's, from what the system knows: an attempt's process was started, by the worker's
 * clock, after the manager sent it and before the manager noted that it runs.
 */

/** One attempt, wall ms: `startedAt` by the worker's clock, the others by the manager's. */
export interface Sighting {
  readonly sentAt: number;
  readonly startedAt: number;
  readonly notedAt: number;
}

/** The worker's clock minus the manager's lies between these, ms. */
export interface Skew {
  readonly least: number;
  readonly most: number;
}

/** What all sightings together leave possible; undefined without any. A clock that was set in between leaves the newest alone. */
export function skewOf(sightings: readonly Sighting[]): Skew | undefined {
  let found: Skew | undefined;
  for (const { sentAt, startedAt, notedAt } of sightings) {
    const one = { least: startedAt - notedAt, most: startedAt - sentAt };
    const both = found && { least: Math.max(found.least, one.least), most: Math.min(found.most, one.most) };
    if (!found) found = one;
    else if (both && both.least <= both.most) found = both;
  }
  return found;
}

/** How far off it is at the least, ms, ahead positive; 0 while it may be right. */
export function offBy({ least, most }: Skew): number {
  if (least > 0) return least;
  return most < 0 ? most : 0;
}
