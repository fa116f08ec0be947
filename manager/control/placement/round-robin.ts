import type { MakePlacement, OpenWorker } from "./placement.ts";

/** Each worker in its turn. A worker that does not fit is passed over, so one choice is O(1) where most workers fit. */
const makeRoundRobin: MakePlacement = () => {
  let next = 0;
  return {
    choose(_run, open, fits): OpenWorker | undefined {
      for (let looked = 0; looked < open.size; looked += 1) {
        const index = (next + looked) % open.size;
        const worker = open.at(index);
        if (!fits(worker)) continue;
        next = index + 1;
        return worker;
      }
      return undefined;
    },
  };
};
export default makeRoundRobin;
