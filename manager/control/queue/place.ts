/** Placing: the oldest waiting runs first, each on a worker that the placement chooses among those where it fits. */
import { managerLimits } from "../../../schema/limits.ts";
import { endVersionless, raiseProof, startAttempt } from "../runs/attempts.ts";
import { raiseAlarm } from "../alarms.ts";
import { recall } from "../cache.ts";
import { armWake } from "../due.ts";
import { allows, hasRoom, mayTake, prefetchOf, suits } from "./feasible.ts";
import { isIn, type OpenSet } from "./openset.ts";
import type { OpenWorker } from "../placement/placement.ts";
import { block, compileLine, dequeue, headOf, nextLine, unblock, type Line } from "./queue.ts";
import { isHeld, versionKey, type RunCell, type WorkerCell } from "../state.ts";
import type { Turn } from "../turn.ts";
import { turnWindow } from "./window.ts";
import type { CompiledVersion } from "../versions.ts";

/** Lines times workers up to which blocked lines are held against each changed worker; beyond it all are tried again. */
const carefulLooks = 50_000;

/** The last step of every batch. */
export function placeAll(turn: Turn): void {
  const { state } = turn;
  const { queue } = state;
  for (const line of queue.unread) compileLine(queue, line, recall(state.versions, versionKey(line.taskId, line.version)));
  wakeLines(turn);
  if (!isHeld(state)) placeWaiting(turn);
  turnWindow(turn);
  for (const attempt of state.sentNow) raiseProof(state, attempt);
  state.sentNow = [];
}

function placeWaiting(turn: Turn): void {
  const { state } = turn;
  const { queue } = state;
  const left: { count: number } = { count: managerLimits.placementsPerBatch };
  // Where every slot is taken only the lines that need none are looked at: a full fleet costs nothing.
  while (left.count > 0 && state.free.size + state.eager.size > 0) {
    const next = nextLine(queue);
    if (!next) break;
    placeHead(turn, next.line, next.run, left);
  }
  for (const line of queue.slotless) {
    while (left.count > 0 && !line.blocked) {
      const run = headOf(queue, line);
      if (!run) break;
      placeHead(turn, line, run, left);
    }
  }
  if (left.count === 0 || queue.unread.size > 0) armWake(state, turn.now.mono);
}

/** Blocked lines for which something may have changed come back. */
function wakeLines(turn: Turn): void {
  const { state } = turn;
  const { queue, changed } = state;
  if (changed.size === 0) return;
  // A whole round: the window may stand anywhere in the queue.
  queue.turnsLeft = queue.queued;
  const careful = queue.blocked.size * changed.size <= carefulLooks;
  for (const line of queue.blocked) {
    const version = line.compiled;
    if (!careful || !version || [...changed].some((worker) => couldTake(turn, version, worker))) unblock(queue, line);
  }
  changed.clear();
}

function couldTake(turn: Turn, version: CompiledVersion, worker: WorkerCell): boolean {
  return mayTake(worker) && hasRoom(version, worker, prefetchOf(turn.state, worker, turn.now.mono)) && suits(version, worker);
}

function placeHead(turn: Turn, line: Line, run: RunCell, left: { count: number }): void {
  const { queue } = turn.state;
  const version = line.compiled;
  if (version === null) {
    endVersionless(turn, run);
    return;
  }
  const worker = version && chooseWorker(turn, run, version);
  if (!version || !worker) {
    block(queue, line);
    return;
  }
  run.version = version;
  dequeue(run);
  startAttempt(turn, run, version, worker);
  left.count -= 1;
}

function chooseWorker(turn: Turn, run: RunCell, version: CompiledVersion): WorkerCell | undefined {
  const { state, now } = turn;
  const fitsOn = (worker: WorkerCell | undefined, prefetch: number): worker is WorkerCell =>
    worker !== undefined && hasRoom(version, worker, prefetch) && allows(run, worker, now.mono) && suits(version, worker);
  if (run.row.wantedWorkerId !== null) {
    const worker = state.workers.get(run.row.wantedWorkerId);
    return worker && mayTake(worker) && fitsOn(worker, prefetchOf(state, worker, now.mono)) ? worker : undefined;
  }
  const among = (set: OpenSet, prefetches: boolean): WorkerCell | undefined => {
    if (set.size === 0) return undefined;
    const fits = (open: OpenWorker): boolean => {
      const worker = state.workers.get(open.id);
      return fitsOn(worker, worker && prefetches ? prefetchOf(state, worker, now.mono) : 0);
    };
    const chosen = askPlacement(turn, run, version, set, fits);
    // A placement of somebody else's may name whom it likes; only one that fits is taken.
    const worker = chosen && state.workers.get(chosen.id);
    return worker && isIn(set, worker.view) && fits(worker.view) ? worker : undefined;
  };
  if (version.definition.requires.slots === 0) return among(state.takers, false);
  return among(state.free, false) ?? among(state.eager, true);
}

function askPlacement(
  turn: Turn,
  run: RunCell,
  version: CompiledVersion,
  set: OpenSet,
  fits: (open: OpenWorker) => boolean,
): OpenWorker | undefined {
  const { row } = run;
  const wanted = { runId: row.id, taskId: row.taskId, labels: row.labels, requires: version.definition.requires };
  try {
    return turn.state.options.placement.choose(wanted, set, fits, turn.dice);
  } catch (error) {
    // It may be a third party's: its mistake must not stop the pool.
    raiseAlarm(turn, "placement", "", `the placement failed: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
