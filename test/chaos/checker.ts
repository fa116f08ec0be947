/**
 * Decides from a recorded history alone whether the promises held, in the manner of Jepsen: nothing here knows how Muster works,
 * only what it promised (DESIGN.md section 2). Pure.
 */
import { isTerminal } from "../../schema/run.ts";
import { factsOf, groupBy, type Facts } from "./facts.ts";
import type { HistoryLine, ReadRun, WitnessLine } from "./history.ts";

export const violationKinds = [
  "lost",
  "startedTwice",
  "wrongEnd",
  "stuck",
  "idempotency",
  "notTaken",
  "changed",
  "unasked",
  "leftover",
] as const;
export type ViolationKind = (typeof violationKinds)[number];

export interface Violation {
  readonly kind: ViolationKind;
  /** Which promise did not hold, and for what. */
  readonly sentence: string;
  /** The run, where there is one. */
  readonly runId: string | null;
}

export interface Judgement {
  readonly violations: readonly Violation[];
  /** What was judged, so that a judgement of nothing is seen to be one. */
  readonly figures: {
    readonly starts: number;
    readonly acknowledged: number;
    readonly notTaken: number;
    readonly outcomeUnknown: number;
    readonly unanswered: number;
    readonly runs: number;
    readonly processes: number;
    readonly messages: number;
  };
}

/** Nothing may be stuck for longer, once all is well again (promise 7). */
const stuckAfterMs = 60_000;

export function checkHistory(lines: readonly HistoryLine[]): Judgement {
  const facts = factsOf(lines);
  const violations = [
    ...lostOf(facts),
    ...stuckOf(facts),
    ...startedTwiceOf(facts),
    ...wrongEndsOf(facts),
    ...answersOf(facts),
    ...changedOf(facts),
    ...leftoversOf(lines, facts),
  ];
  const answers = [...facts.told.values()].flat();
  const counted = (code: string): number => answers.filter((one) => one !== "unanswered" && one.code === code).length;
  return {
    violations,
    figures: {
      starts: facts.asked.size,
      acknowledged: facts.acknowledged.size,
      notTaken: counted("not-taken"),
      outcomeUnknown: counted("outcome-unknown"),
      unanswered: answers.filter((one) => one === "unanswered").length,
      runs: facts.last.size,
      processes: facts.witnessed.filter(({ code }) => code === null).length,
      messages: lines.filter(({ kind }) => kind === "commands" || kind === "reports" || kind === "message").length,
    },
  };
}

function violation(kind: ViolationKind, runId: string | null, sentence: string): Violation {
  return { kind, runId, sentence };
}

/** Promise 1: what was acknowledged is there. */
function lostOf({ acknowledged, last }: Facts): Violation[] {
  return [...acknowledged]
    .filter(([runId]) => !last.has(runId))
    .map(([runId, tag]) => violation("lost", runId, `run ${runId} (${tag}) was acknowledged and is not there`));
}

/** Promise 7. */
function stuckOf({ last, waitedMs }: Facts): Violation[] {
  return [...last.values()]
    .filter(({ state }) => !isTerminal(state))
    .map(({ id, state }) =>
      violation(
        "stuck",
        id,
        waitedMs >= stuckAfterMs
          ? `run ${id} is still ${state} ${Math.round(waitedMs / 1_000)} s after all was well again`
          : `run ${id} is ${state} in the last listing, which came ${Math.round(waitedMs / 1_000)} s after all was well again`,
      ),
    );
}

/** Promise 2. */
function startedTwiceOf({ witnessed, last, policies, places, acknowledged }: Facts): Violation[] {
  const found: Violation[] = [];
  const byRun = groupBy(witnessed, ({ runId }) => runId);
  for (const [runId, lines] of byRun) {
    const starts = lines.filter(({ code }) => code === null);
    for (const [attempt, own] of groupBy(starts, ({ attempt }) => String(attempt)))
      if (own.length > 1)
        found.push(
          violation(
            "startedTwice",
            runId,
            `attempt ${attempt} of run ${runId} was started ${own.length} times (pids ${own.map(({ pid }) => pid).join(", ")})`,
          ),
        );
    const run = last.get(runId);
    if (!run) {
      if (!acknowledged.has(runId))
        found.push(violation("unasked", runId, `a process of run ${runId} was started, and there is no such run`));
      continue;
    }
    const policy = policies.get(run.taskId);
    const attempts = new Set(starts.map(({ attempt }) => attempt)).size;
    if (policy && attempts > policy.mostStarts)
      found.push(
        violation(
          "startedTwice",
          runId,
          `run ${runId} was started in ${attempts} attempts; its task allows ${policy.mostStarts}`,
        ),
      );
    if (policy && !policy.mayOverlap) found.push(...overlapsOf(runId, lines));
  }
  for (const [attempt, workers] of places)
    if (workers.size > 1)
      found.push(
        violation("startedTwice", null, `attempt ${attempt} was sent to, or ran on, several workers: ${[...workers].join(", ")}`),
      );
  return found;
}

/** The file's order is the order in time: each line is one write with O_APPEND. */
function overlapsOf(runId: string, lines: readonly WitnessLine[]): Violation[] {
  const found: Violation[] = [];
  const ended = new Set(lines.filter(({ code }) => code !== null).map(({ attempt }) => attempt));
  const alive = new Set<number>();
  for (const { attempt, code } of lines) {
    if (code !== null) {
      alive.delete(attempt);
      continue;
    }
    // One that never wrote an end was killed, nobody here can say when.
    const other = [...alive].find((one) => one !== attempt && ended.has(one));
    if (other !== undefined)
      found.push(
        violation("startedTwice", runId, `attempt ${attempt} of run ${runId} was started while attempt ${other} still ran`),
      );
    alive.add(attempt);
  }
  return found;
}

/** Promise 3, the truth: what the API says is what the process itself wrote. */
function wrongEndsOf({ last, witnessed, policies }: Facts): Violation[] {
  const byRun = groupBy(witnessed, ({ runId }) => runId);
  const found: Violation[] = [];
  for (const run of last.values()) {
    if (!isTerminal(run.state)) continue;
    const lines = byRun.get(run.id) ?? [];
    for (const attempt of run.attempts) {
      const own = lines.filter((line) => line.attempt === attempt.number);
      const why = attempt.end && wrongEnd(attempt.end, own);
      if (why) found.push(violation("wrongEnd", run.id, `attempt ${attempt.number} of run ${run.id} ${why}`));
    }
    const codes = lines.filter(({ code }) => code !== null).map(({ code }) => code);
    if (run.state === "succeeded" && !codes.includes(0))
      found.push(violation("wrongEnd", run.id, `run ${run.id} succeeded, and none of its processes ended with 0`));
    if (run.state === "lost" && policies.get(run.taskId)?.mayBeLost !== true)
      found.push(
        violation(
          "wrongEnd",
          run.id,
          `run ${run.id} is lost (${run.end?.how === "lost" ? run.end.why : "no reason"}), and everything that knows of it is there`,
        ),
      );
    const said = run.attempts.findLast(({ end }) => end !== null && end.how !== "refused")?.end;
    if (
      run.end &&
      said &&
      JSON.stringify(said) !== JSON.stringify(run.end) &&
      run.end.how !== "lost" &&
      run.end.how !== "stopped"
    )
      found.push(
        violation("wrongEnd", run.id, `run ${run.id} says ${JSON.stringify(run.end)}, its last attempt ${JSON.stringify(said)}`),
      );
  }
  return found;
}

function wrongEnd(end: NonNullable<ReadRun["end"]>, lines: readonly WitnessLine[]): string | undefined {
  const started = lines.some(({ code }) => code === null);
  const code = lines.find((line) => line.code !== null)?.code;
  switch (end.how) {
    case "exited":
      if (code === undefined) return `is said to have exited with ${end.code}, and no process wrote that it ends`;
      return code === end.code ? undefined : `is said to have exited with ${end.code}, its process wrote ${code}`;
    case "refused":
    case "failedToStart":
      return started ? `is said to be ${end.how} (${end.why}), and a process of it was started` : undefined;
    case "lost":
      return code === undefined ? undefined : `is said to be lost (${end.why}), and its process ended with ${code}`;
    case "signalled":
    case "timedOut":
    case "stopped":
      return undefined;
  }
}

/** Promise 1 and rule 20: one key, one run; what was not taken did nothing; nobody made what nobody asked for. */
function answersOf({ asked, told, acknowledged, last }: Facts): Violation[] {
  const found: Violation[] = [];
  const byTag = groupBy([...last.values()], ({ labels }) => labels["tag"] ?? "");
  for (const [tag, { key }] of asked) {
    const answers = told.get(tag) ?? [];
    const runs = new Set([
      ...answers.flatMap((one) => (one !== "unanswered" && one.runId !== null ? [one.runId] : [])),
      ...(byTag.get(tag) ?? []).map(({ id }) => id),
    ]);
    if (key !== null && runs.size > 1)
      found.push(violation("idempotency", null, `start ${tag} with key ${key} made several runs: ${[...runs].join(", ")}`));
    const refused = answers.length > 0 && answers.every((one) => one !== "unanswered" && one.code === "not-taken");
    if (refused && runs.size > 0)
      found.push(
        violation("notTaken", [...runs][0] ?? null, `start ${tag} was answered not-taken only, and made run ${[...runs][0]}`),
      );
  }
  for (const run of last.values())
    if (!acknowledged.has(run.id) && !asked.has(run.labels["tag"] ?? ""))
      found.push(violation("unasked", run.id, `run ${run.id} is there, and nobody asked for it`));
  return found;
}

/** Promise 3: terminal is final, in every read. */
function changedOf({ reads }: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [runId, seen] of reads) {
    const at = seen.findIndex(({ state }) => isTerminal(state));
    if (at < 0) continue;
    const first = textOf(seen[at]);
    const later = seen.slice(at + 1).find((run) => textOf(run) !== first);
    if (later) found.push(violation("changed", runId, `run ${runId} was ${first}, and later ${textOf(later)}`));
  }
  return found;
}

function textOf(run: ReadRun | undefined): string {
  return JSON.stringify([run?.state, run?.end, run?.attempts.map(({ number, end }) => [number, end])]);
}

/** Nothing of a run that is over is alive. */
function leftoversOf(lines: readonly HistoryLine[], { last }: Facts): Violation[] {
  return lines.flatMap((line) =>
    line.kind === "leftover" && last.has(line.runId)
      ? [violation("leftover", line.runId, `process ${line.pid} of run ${line.runId}, which is over, is alive`)]
      : [],
  );
}
