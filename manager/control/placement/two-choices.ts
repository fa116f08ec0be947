import { busyness } from "./load.ts";
import type { MakePlacement, OpenWorker } from "./placement.ts";

/** Throws of the dice before the workers are looked at in a row. */
const throwsAtMost = 8;

/**
 * Of two workers drawn at random, the less busy one: nearly as even as the least loaded and O(1) with any number of workers.
 * Where few workers fit, the row is searched from a random place.
 */
const makeTwoChoices: MakePlacement = () => ({
  choose(_run, open, fits, dice): OpenWorker | undefined {
    if (open.size === 0) return undefined;
    let first: OpenWorker | undefined;
    for (let thrown = 0; thrown < throwsAtMost; thrown += 1) {
      const worker = open.at(dice.below(open.size));
      if (worker === first || !fits(worker)) continue;
      if (first) return busyness(worker) < busyness(first) ? worker : first;
      first = worker;
    }
    if (first) return first;
    const start = dice.below(open.size);
    for (let looked = 0; looked < open.size; looked += 1) {
      const worker = open.at((start + looked) % open.size);
      if (fits(worker)) return worker;
    }
    return undefined;
  },
});
export default makeTwoChoices;
