/** What clients were told: counted, and held against what a client may rely on. The checker holds it against the runs. Pure. */
import type { Start, Told } from "./clients.ts";

/** One sentence for each start that was never answered for good, or was told what no client can act on. */
export function judgeAnswers(starts: readonly Start[]): string[] {
  return starts.flatMap((start) => {
    const { tag, key, told, gaveUp } = start;
    const found: string[] = [];
    const last = told.at(-1);
    if (!gaveUp && last?.status !== 202)
      found.push(`start ${tag} was never accepted: ${told.slice(-5).map(answerOf).join(", ")}`);
    for (const one of told) {
      if (one.status === 503 && !(Number(one.retryAfter) > 0))
        found.push(`start ${tag} was told ${answerOf(one)} without Retry-After`);
      if (one.status === 503 && one.code !== "not-taken" && one.code !== "outcome-unknown")
        found.push(`start ${tag} was told a 503 that says neither not-taken nor outcome-unknown, but ${one.code}`);
      if (one.code === "outcome-unknown" && one.key !== key)
        found.push(`start ${tag} was to be repeated with the key ${one.key}, and has its own: ${key}`);
    }
    return found;
  });
}

function answerOf({ status, code }: Told): string {
  return status === 0 ? `no answer (${code})` : `${status} ${code}`.trim();
}

/** How often each kind of answer came, named for a figure. */
export function countAnswers(starts: readonly Start[]): {
  readonly accepted: number;
  readonly notTaken: number;
  readonly outcomeUnknown: number;
  readonly unanswered: number;
} {
  const told = starts.flatMap((start) => start.told);
  const count = (is: (one: Told) => boolean): number => told.filter(is).length;
  return {
    accepted: count(({ status }) => status === 202),
    notTaken: count(({ code }) => code === "not-taken"),
    outcomeUnknown: count(({ code }) => code === "outcome-unknown"),
    unanswered: count(({ status }) => status === 0),
  };
}

/** The longest time in which no client was told 202, and when it began; between the first 202 and the last. */
export function longestGap(starts: readonly Start[]): { readonly ms: number; readonly fromMs: number } {
  const yes = starts
    .flatMap(({ told }) => told.filter(({ status }) => status === 202).map(({ atMs }) => atMs))
    .toSorted((a, b) => a - b);
  let longest = { ms: 0, fromMs: yes[0] ?? 0 };
  for (const [i, atMs] of yes.entries()) {
    const fromMs = yes[i - 1] ?? atMs;
    if (atMs - fromMs > longest.ms) longest = { ms: atMs - fromMs, fromMs };
  }
  return longest;
}
