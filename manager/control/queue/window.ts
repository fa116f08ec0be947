/** Which part of a long queue is in memory: pages come in from the store, and a window that is blocked whole moves on. */
import { managerLimits } from "../../../schema/limits.ts";
import { armWake } from "../due.ts";
import type { RunRecord } from "../records.ts";
import { beyond, enqueue, nextLine, waiting } from "./queue.ts";
import { dropRun, keepRun, makeRun } from "../runs/runs.ts";
import { recentRun, type ControlState } from "../state.ts";
import type { Turn } from "../turn.ts";

/** Between two moves of a blocked window: each reads a page from the store. */
const turnMs = 250;

/** How many queued runs shall be read now; 0 for none. */
export function pageSize(state: ControlState): number {
  const { queue, options, batch } = state;
  if (queue.paged || beyond(queue) - batch.fresh <= 0) return 0;
  if (queue.inMemory > options.limits.queueWindow / 2) return 0;
  return Math.min(managerLimits.readsPerBatch, options.limits.queueWindow - queue.inMemory);
}

/** Whether a new run may wait in memory: only when none is left in the store, which would be older. */
export function hasRoomInWindow(state: ControlState): boolean {
  return beyond(state.queue) === 0 && state.queue.inMemory < state.options.limits.queueWindow;
}

/** Takes a page of queued runs, oldest first, as the store holds them. */
export function admitPage(state: ControlState, after: number, rows: readonly RunRecord[]): void {
  const { queue } = state;
  if (queue.paged) return;
  queue.paged = true;
  for (const row of rows) {
    const known = recentRun(state, row.id);
    if (state.runs.has(row.id) || (known && known.state !== "queued")) continue;
    const run = makeRun(row, undefined);
    keepRun(state, run);
    enqueue(state, run);
  }
  const isLast = rows.length < queue.pageLimit;
  queue.cursor = isLast ? 0 : (rows.at(-1)?.order ?? 0);
  // From the beginning to the end in one page: what is not in memory now is only what this batch has made.
  if (isLast && after === 0) queue.queued = queue.inMemory + state.batch.fresh;
}

/** After placing: asks for the next page, or moves a window in which nothing fits, so that what lies behind it gets its turn. */
export function turnWindow(turn: Turn): void {
  const { state, now } = turn;
  const { queue, options } = state;
  if (beyond(queue) <= 0) return;
  if (queue.inMemory <= options.limits.queueWindow / 2) {
    armWake(state, now.mono);
    return;
  }
  // Where no slot is free the window waits as it is: what is oldest goes first.
  if (state.free.size === 0 || nextLine(queue) !== undefined || queue.turnsLeft <= 0) return;
  if (now.mono < queue.turnNotBeforeMono) {
    armWake(state, queue.turnNotBeforeMono);
    return;
  }
  queue.turnNotBeforeMono = now.mono + turnMs;
  // The older half stays: it is tried first whenever a worker changes.
  const plain = [...waiting(queue)].filter((run) => run.row.state === "queued" && run.avoid === null);
  const leaving = plain.toSorted((a, b) => a.row.order - b.row.order).slice(Math.floor(plain.length / 2));
  for (const run of leaving) dropRun(state, run);
  queue.turnsLeft -= leaving.length;
  armWake(state, now.mono);
}
