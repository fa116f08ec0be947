/** Whether a worker can take a run now, and if not, what it is short of. */
import { constraintGap, constraintHolds } from "../../../schema/constraint.ts";
import { isReachable, type ControlState, type RunCell, type WorkerCell } from "../state.ts";
import type { CompiledVersion } from "../versions.ts";

/** How long after an end a full worker still counts as one whose slots come free fast. */
const fastMs = 1_000;
/** Ends this close together, on average, make a worker fast enough to prefetch for. */
const fastIntervalMs = 250;

/** Whether anything may be sent to it at all: heard, introduced in this term, not draining, not resting. */
export function mayTake(worker: WorkerCell): boolean {
  return worker.row.state === "online" && worker.synced && !worker.row.draining && worker.restMono === null;
}

/**
 * Slots beyond the free ones that may be outstanding. A start that waits on the worker is stuck there and goes stale when
 * the running ones are long, so only a worker whose slots come free all the time gets any.
 */
export function prefetchOf(state: ControlState, worker: WorkerCell, nowMono: number): number {
  return isFast(worker) && nowMono - worker.lastEndMono <= fastMs ? state.options.limits.prefetch : 0;
}

/** Whether its slots have come free fast lately. */
export function isFast(worker: WorkerCell): boolean {
  return worker.endIntervalMs <= fastIntervalMs;
}

/** Whether the worker could ever take it, as it is now: everything but what is in use. */
export function suits(version: CompiledVersion, worker: WorkerCell): boolean {
  const { view, row } = worker;
  if (!view.facts.drivers.includes(version.driver)) return false;
  if (version.interpreter !== null && !Object.hasOwn(view.facts.interpreters, version.interpreter)) return false;
  if (version.record.body !== null && row.http !== true) return false;
  for (const constraint of version.constraints) if (!constraintHolds(constraint, view)) return false;
  return true;
}

/** Whether it fits into what is free, with `prefetch` slots beyond. Memory and cpus are never overdrawn. */
export function hasRoom(version: CompiledVersion, worker: WorkerCell, prefetch: number): boolean {
  const { requires } = version.definition;
  const { free } = worker.view;
  return (
    requires.slots <= (requires.slots > 0 ? free.slots + prefetch : Number.POSITIVE_INFINITY) &&
    (requires.memoryMb === 0 || requires.memoryMb <= free.memoryMb) &&
    (requires.cpus === 0 || requires.cpus <= free.cpus)
  );
}

/** Whether this very run may go there: the worker that it wants, or not one that refused it just now. */
export function allows(run: RunCell, worker: WorkerCell, nowMono: number): boolean {
  const { wantedWorkerId } = run.row;
  if (wantedWorkerId !== null && wantedWorkerId !== worker.row.id) return false;
  const avoidUntil = run.avoid?.get(worker.row.id);
  return avoidUntil === undefined || avoidUntil <= nowMono;
}

/** What keeps the run from this worker, to follow "1 ": "is draining", "lacks label zone"; undefined when nothing does. */
export function gapOf(run: RunCell, version: CompiledVersion, worker: WorkerCell, nowMono: number): string | undefined {
  const { row, view } = worker;
  if (run.row.wantedWorkerId !== null && run.row.wantedWorkerId !== row.id) return "is not the one that was asked for";
  if (row.draining) return "is draining";
  if (!isReachable(worker)) return row.state === "neverSeen" ? "was never seen" : `is ${row.state}`;
  if (!worker.synced) return "has not introduced itself yet";
  const lacking = lackOf(version, worker);
  if (lacking !== undefined) return lacking;
  if (!allows(run, worker, nowMono)) return "refused it just now";
  if (worker.restMono !== null) return `refused the last starts: ${worker.restWhy ?? "no reason given"}`;
  const { requires } = version.definition;
  if (requires.slots > view.capacity.slots) return `has only ${view.capacity.slots} slots`;
  if (requires.memoryMb > view.capacity.memoryMb) return `has only ${view.capacity.memoryMb} MB of memory`;
  if (requires.cpus > view.capacity.cpus) return `has only ${view.capacity.cpus} cpus`;
  if (requires.slots > view.free.slots) return "is full";
  if (requires.memoryMb > view.free.memoryMb) return "has too little free memory";
  if (requires.cpus > view.free.cpus) return "has too few free cpus";
  return undefined;
}

function lackOf(version: CompiledVersion, worker: WorkerCell): string | undefined {
  const { view, row } = worker;
  for (const [index, constraint] of version.constraints.entries())
    if (!constraintHolds(constraint, view)) return gapIn(constraintGap(constraint, view), version.definition.constraints[index]);
  if (!view.facts.drivers.includes(version.driver)) return `lacks driver ${version.driver}`;
  if (version.interpreter !== null && !Object.hasOwn(view.facts.interpreters, version.interpreter))
    return `lacks interpreter ${version.interpreter}`;
  if (version.record.body !== null && row.http !== true) return "cannot fetch the large body over HTTP";
  return undefined;
}

/** What the worker has says little without what was asked for. */
function gapIn(gap: string, wanted: string | undefined): string {
  return gap.startsWith("has ") && wanted !== undefined ? `${gap} (wanted: ${wanted})` : gap;
}
