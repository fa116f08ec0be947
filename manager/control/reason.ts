/** Why a run waits, in one sentence (promise 7). */
import type { Now } from "../../schema/given.ts";
import { recall } from "./cache.ts";
import { gapOf } from "./queue/feasible.ts";
import { heardSince, isHeld, versionKey, type AttemptCell, type ControlState, type RunCell } from "./state.ts";
import type { CompiledVersion } from "./versions.ts";

/** Workers that one sentence looks at. */
const looksAtMost = 10_000;

function versionOf(state: ControlState, run: RunCell): CompiledVersion | undefined {
  return run.version ?? recall(state.versions, versionKey(run.row.taskId, run.row.taskVersion)) ?? undefined;
}

/** For a queued run in memory. */
export function whyQueued(state: ControlState, run: RunCell, now: Now): string {
  if (state.hold && isHeld(state)) return state.hold.sentence;
  if (run.holdMono !== null && run.holdWhy !== null) return `${run.holdWhy}; placed again in ${seconds(run.holdMono - now.mono)}`;
  return whyNowhere(state, run, now);
}

/** For a run between two tries. */
export function whyRetrying(state: ControlState, run: RunCell, now: Now): string {
  if (state.hold && isHeld(state)) return state.hold.sentence;
  if (run.holdMono === null) return whyNowhere(state, run, now);
  const of = run.version?.definition.retry.attempts;
  return `${run.holdWhy ?? "the last try failed"}; try ${run.row.tries + 1}${of !== undefined && of > run.row.tries ? ` of ${of}` : ""} in ${seconds(run.holdMono - now.mono)}`;
}

/** "2 workers: 1 is draining, 1 lacks label zone". */
function whyNowhere(state: ControlState, run: RunCell, now: Now): string {
  const version = versionOf(state, run);
  if (!version) return "it waits to be looked at";
  const wanted = run.row.wantedWorkerId;
  if (wanted !== null) return whyNotThere(state, run, version, wanted, now);
  const gaps = new Map<string, number>();
  let workers = 0;
  let open = 0;
  for (const worker of state.workers.values()) {
    if (worker.row.state === "removed") continue;
    workers += 1;
    if (workers > looksAtMost) break;
    const gap = gapOf(run, version, worker, now.mono);
    if (gap === undefined) open += 1;
    else gaps.set(gap, (gaps.get(gap) ?? 0) + 1);
  }
  if (workers === 0) return "there are no workers in this pool";
  if (open > 0) return `it is placed next; ${open} of ${workers} workers can take it`;
  const said = [...gaps].toSorted((a, b) => b[1] - a[1]).map(([gap, count]) => `${count} ${count > 1 ? plural(gap) : gap}`);
  return `${workers} ${workers === 1 ? "worker" : "workers"}: ${said.slice(0, 8).join(", ")}${said.length > 8 ? ", …" : ""}`;
}

function whyNotThere(state: ControlState, run: RunCell, version: CompiledVersion, wanted: string, now: Now): string {
  const worker = state.workers.get(wanted);
  if (!worker || worker.row.state === "removed") return `worker ${wanted}, which was asked for, was removed`;
  const gap = gapOf(run, version, worker, now.mono);
  return gap === undefined ? `it is placed on ${wanted} next` : `worker ${wanted}, which was asked for, ${gap}`;
}

const plurals: readonly (readonly [string, string])[] = [
  ["is ", "are "],
  ["has ", "have "],
  ["lacks ", "lack "],
  ["was ", "were "],
];

function plural(gap: string): string {
  const found = plurals.find(([one]) => gap.startsWith(one));
  return found ? (found[1] + gap.slice(found[0].length)).replace(" itself ", " themselves ") : gap;
}

/** For a run on a worker that nobody hears. */
export function whyUnreachable(state: ControlState, attempt: AttemptCell, now: Now): string {
  const silent = seconds(now.mono - heardSince(state, attempt.worker));
  if (isHeld(state))
    return `worker ${attempt.row.workerId} has not been heard for ${silent}; the database was taken back, and the worker may know how the run ended`;
  const until = attempt.lossMono === null ? "" : `; without it the run is called lost in ${seconds(attempt.lossMono - now.mono)}`;
  return `worker ${attempt.row.workerId} has not been heard for ${silent}${until}`;
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.ceil(ms / 1_000))} s`;
}
