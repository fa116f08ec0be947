/** Who leads, as the managers themselves say it; asked with a deadline, because one of them may stand still. */
import { setTimeout as pause } from "node:timers/promises";
import { until } from "../../kit/until.ts";
import type { System } from "../system.ts";

export interface Leading {
  readonly name: string;
  readonly term: number;
}

const answerWithinMs = 5_000;
/** Who is watched too closely has less time to lead. */
const lookEveryMs = 50;

/** The manager of these that says it leads the pool under the highest term; undefined when none says so now. */
async function leaderNow(system: System, names: readonly string[], pool = "default"): Promise<Leading | undefined> {
  const said = await Promise.all(names.map(async (name) => ({ name, term: await termOf(system.managers.at(name).url, pool) })));
  const leading = said.flatMap(({ name, term }) => (term === undefined ? [] : [{ name, term }]));
  return leading.toSorted((a, b) => b.term - a.term)[0];
}

/** Waits for a leader, under a higher term than `above`. */
export async function leaderAbove(
  system: System,
  names: readonly string[],
  above: number,
  withinMs: number,
  pool = "default",
): Promise<Leading> {
  const look = async (): Promise<Leading | undefined> => {
    await pause(lookEveryMs);
    const leading = await leaderNow(system, names, pool);
    return leading && leading.term > above ? leading : undefined;
  };
  return await until(`${names.join(" or ")} to lead the pool ${pool}`, look, withinMs);
}

/** The term under which this manager says that it leads. */
async function termOf(url: string, pool: string): Promise<number | undefined> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(answerWithinMs) });
    const { checks } = (await response.json()) as { checks: { name: string; sentence: string }[] };
    const sentence = checks.find(({ name }) => name === `leader:${pool}`)?.sentence ?? "";
    const term = /^leads with term (\d+)/.exec(sentence)?.[1];
    return term === undefined ? undefined : Number(term);
  } catch {
    return undefined; // It is dead, or stands still.
  }
}
