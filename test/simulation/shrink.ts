import type { Plan } from "./plan.ts";

/** Plays that a search may take. */
const playsAtMost = 300;

export interface Shrunk {
  readonly plan: Plan;
  readonly plays: number;
}

/** What a violation says, without the names and numbers of this very world. */
export function kindOfViolation(sentence: string): string {
  return (sentence.split("\n")[0] ?? "").replaceAll(/[a-z]*\d+[\w-]*/g, "#");
}

/**
 * Cuts a failing plan: faults, clients, workers and weather go as long as it still fails in the same way. `fails` plays a plan
 * and says whether it does.
 */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Shrunk> {
  let plays = 0;
  let best = plan;
  const keep = async (candidate: Plan): Promise<boolean> => {
    if (plays >= playsAtMost) return false;
    plays += 1;
    if (!(await fails(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let before = Number.POSITIVE_INFINITY; sizeOf(best) < before && plays < playsAtMost;) {
    before = sizeOf(best);
    await cutList(best.faults, async (faults) => await keep({ ...best, faults }));
    await cutList(best.clients, async (clients) => await keep({ ...best, clients }));
    await cutList(best.workers, async (workers) => workers.length > 0 && (await keep({ ...best, workers })));
    for (const name of Object.keys(best.weather) as (keyof Plan["weather"])[]) {
      const least = name === "maxDelayMs" ? 10 : 0;
      if (best.weather[name] !== least) await keep({ ...best, weather: { ...best.weather, [name]: least } });
    }
  }
  return { plan: best, plays };
}

function sizeOf({ faults, clients, workers, weather }: Plan): number {
  const storms = Object.values(weather).filter((value) => value > 0).length;
  return faults.length + clients.length + workers.length + storms;
}

/** Takes away halves, then quarters, and at last one by one, whatever is not needed. */
async function cutList<T>(items: readonly T[], stillFails: (rest: readonly T[]) => Promise<boolean>): Promise<void> {
  let rest = items;
  for (let size = Math.ceil(rest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < rest.length;) {
      const without = [...rest.slice(0, at), ...rest.slice(at + size)];
      if (await stillFails(without)) rest = without;
      else at += size;
    }
  }
}
