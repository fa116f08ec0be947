/** The leader's memory for people: what lists and pages show beside the stored rows. Reading changes nothing. */
import type { Now } from "../../schema/given.ts";
import { isStanding } from "./alarms.ts";
import { brakeView } from "./fleet/brake.ts";
import type { Alarm, Figures, PoolLive, WorkerLive } from "./core.ts";
import { missingLedgers } from "./recovery/hold.ts";
import type { RunRecord } from "./records.ts";
import { beyond, waiting } from "./queue/queue.ts";
import { whyQueued, whyRetrying, whyUnreachable } from "./reason.ts";
import { heardSince, isHeld, isReachable, type ControlState, type RunCell, type WorkerCell } from "./state.ts";

/**
 * One sentence about a run that is not terminal, as the reader's committed row has it; null when there is nothing to say, or it
 * is not known here. Memory may be a commit ahead of the row: of that nothing is said (rule 20).
 */
export function reasonOf(state: ControlState, shown: Pick<RunRecord, "id" | "state">, now: Now): string | null {
  const run = state.runs.get(shown.id);
  if (!run && state.hold && isHeld(state) && (shown.state === "queued" || shown.state === "retrying")) return state.hold.sentence;
  if (!run) return shown.state === "queued" && beyond(state.queue) > 0 ? "it waits in the queue behind older runs" : null;
  if (run.row.state !== shown.state) return null;
  switch (run.row.state) {
    case "queued":
      return whyQueued(state, run, now);
    case "retrying":
      return whyRetrying(state, run, now);
    case "starting":
      return run.attempt && run.attempt.row.state === "sent"
        ? `sent to ${run.attempt.row.workerId}, which has not answered yet`
        : null;
    case "unreachable":
      return run.attempt && whyUnreachable(state, run.attempt, now);
    case "stopping":
      return `stop asked by ${run.row.stop?.by ?? "the manager"}; ${whyStopping(state, run, now)}`;
    case "running":
    case "succeeded":
    case "failed":
    case "timedOut":
    case "stopped":
    case "lost":
      return null;
  }
}

function whyStopping(state: ControlState, { row, attempt }: RunCell, now: Now): string {
  if (attempt && !isReachable(attempt.worker)) return whyUnreachable(state, attempt, now);
  return `worker ${row.workerId ?? ""} has not said that it ended`;
}

/** What only the leader knows of a worker; null for one that it does not have. */
export function workerLive(state: ControlState, workerId: string, now: Now): WorkerLive | null {
  const worker = state.workers.get(workerId);
  if (!worker) return null;
  return {
    used: { ...worker.used },
    load: worker.view.load ?? null,
    attempts: worker.attempts.size,
    lastSeenWall: worker.heardWall,
    clockAhead: worker.clockAhead,
    heartbeatMs: worker.beatMs,
    reason: whyNotOnline(state, worker, now),
  };
}

/** Workers that a page of the pool names. */
const awaitedShown = 20;

/** What holds the pool now. */
export function poolLive(state: ControlState): PoolLive {
  return {
    term: state.options.term,
    hold: state.hold && isHeld(state) ? state.hold.sentence : null,
    waitsFor: state.hold
      ? missingLedgers(state)
          .slice(0, awaitedShown)
          .map(({ row }) => row.id)
      : [],
    brake: brakeView(state),
  };
}

function whyNotOnline(state: ControlState, worker: WorkerCell, now: Now): string | null {
  const { row } = worker;
  if (row.state === "draining") return `it takes no new runs; attempts that have not ended: ${worker.attempts.size}`;
  if (row.state === "drained") return "it takes no new runs and nothing is left on it";
  if (row.state === "removed") return "it was removed";
  if (!isReachable(worker)) return `not heard for ${Math.ceil((now.mono - heardSince(state, worker)) / 1_000)} s`;
  if (!worker.synced) return "it has not introduced itself to this manager yet";
  return worker.restMono === null ? null : `it refused the last starts: ${worker.restWhy ?? "no reason given"}`;
}

/** What stands now, the one that was raised longest ago first. */
export function alarms(state: ControlState, now: Now): readonly Alarm[] {
  const standing = [...state.alarms.values()].filter((alarm) => isStanding(alarm, now.mono));
  return standing.map(({ kind, since, sentence }) => ({ kind, since, sentence }));
}

export function figures(state: ControlState): Figures {
  const workersByState: Record<string, number> = {};
  for (const worker of state.workers.values()) workersByState[worker.row.state] = (workersByState[worker.row.state] ?? 0) + 1;
  return {
    queued: state.queue.queued,
    oldestQueuedWall: oldestQueuedWall(state),
    liveRuns: state.runs.size + beyond(state.queue),
    liveAttempts: state.attempts.size,
    workersByState,
  };
}

function oldestQueuedWall(state: ControlState): number | null {
  let oldest: number | null = null;
  for (const run of waiting(state.queue))
    if (run.row.state === "queued" && (oldest === null || run.row.createdAt < oldest)) oldest = run.row.createdAt;
  return oldest;
}
