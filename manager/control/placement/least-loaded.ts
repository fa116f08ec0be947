import { busyness } from "./load.ts";
import type { MakePlacement, OpenWorker } from "./placement.ts";

/** Workers looked at for one choice; up to this many open workers the choice is exact, beyond it a random sample decides. */
const sample = 12;

/** The least busy worker that fits. Where none of the sample fits, the next ones in the row are looked at until one does. */
const makeLeastLoaded: MakePlacement = () => ({
  choose(_run, open, fits, dice): OpenWorker | undefined {
    if (open.size === 0) return undefined;
    let best: OpenWorker | undefined;
    const start = open.size > sample ? dice.below(open.size) : 0;
    for (let looked = 0; looked < open.size; looked += 1) {
      if (looked >= sample && best) break;
      const worker = open.at((start + looked) % open.size);
      if (best && busyness(worker) >= busyness(best)) continue;
      if (fits(worker)) best = worker;
    }
    return best;
  },
});
export default makeLeastLoaded;
