/** The process of many workers without processes; it is asked by `bench/kit/part.ts`. */
import { answer } from "../../../bench/kit/answering.ts";
import { LightWorker, type LightFigures, type LightPlan } from "./light-worker.ts";

const workers: LightWorker[] = [];

answer({
  start: ({ plans }: { readonly plans: readonly LightPlan[] }) => {
    for (const plan of plans) {
      const worker = new LightWorker(plan);
      workers.push(worker);
      worker.start();
    }
  },
  endAll: () => workers.forEach((worker) => worker.endAll()),
  figures: (): LightFigures => {
    const sum = { synced: 0, live: 0, launched: 0, hellos: 0, connections: 0, refused: 0 };
    for (const { figures } of workers) for (const name of Object.keys(sum) as (keyof LightFigures)[]) sum[name] += figures[name];
    return sum;
  },
});
