/** Why a worker refused a start, as one of a few words: the sentence itself is the worker's own and may be anything. */

/** How sentences of a worker begin (worker/agent/starts.ts, launch.ts, link.ts, recover.ts), and the word for each. */
const beginnings = [
  ["no room", "noRoom"],
  ["does not fit", "doesNotFit"],
  ["stale", "stale"],
  ["draining", "draining"],
  ["leaving", "leaving"],
  ["no driver", "noDriver"],
  ["body not fetched", "bodyNotFetched"],
  ["agent restarted", "agentRestarted"],
  ["onLost is retry", "cannotFence"],
] as const;

export const refusalCauses: readonly string[] = [...beginnings.map(([, cause]) => cause), "other"];

/** The class of an end `refused{why}`. */
export function causeOfRefusal(why: string): string {
  return beginnings.find(([beginning]) => why.startsWith(beginning))?.[1] ?? "other";
}
