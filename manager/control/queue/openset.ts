/** Workers in a dense array: reading by index, joining and leaving are O(1), also with 100,000 of them. */
import type { Labels } from "../../../schema/task.ts";
import type { Capacity, Facts, Load } from "../../../schema/worker.ts";
import type { OpenWorker, OpenWorkers } from "../placement/placement.ts";

/** The sets that a worker may be in, and its place in each on the worker itself: with 100,000 workers a look into a map is dear. */
const sets = { free: 0, eager: 1, takers: 2 } as const;
const nowhere = -1;

/** The one object by which placements know a worker; kept up to date in place. */
export interface WorkerInView extends OpenWorker {
  readonly id: string;
  /** For constraints, which call it so. */
  readonly workerId: string;
  labels: Labels;
  facts: Facts;
  capacity: Capacity;
  readonly free: { slots: number; memoryMb: number; cpus: number };
  load: Load | undefined;
  attempts: number;
  /** Its index in each set's list. */
  readonly places: number[];
}

export interface OpenSet extends OpenWorkers {
  size: number;
  readonly list: WorkerInView[];
  readonly which: number;
}

export function makeOpenSet(name: keyof typeof sets): OpenSet {
  const list: WorkerInView[] = [];
  return {
    size: 0,
    list,
    which: sets[name],
    at: (index) => list[index] as WorkerInView,
  };
}

/** The places of a worker that is in no set yet. */
export function noPlaces(): number[] {
  return [nowhere, nowhere, nowhere];
}

export function isIn(set: OpenSet, worker: WorkerInView): boolean {
  return worker.places[set.which] !== nowhere;
}

/** Puts the worker in or takes it out. */
export function setOpen(set: OpenSet, worker: WorkerInView, open: boolean): void {
  const { which, list } = set;
  const place = worker.places[which] as number;
  if (open === (place !== nowhere)) return;
  if (open) {
    worker.places[which] = list.length;
    list.push(worker);
  } else {
    const last = list.pop() as WorkerInView;
    if (last !== worker) {
      list[place] = last;
      last.places[which] = place;
    }
    worker.places[which] = nowhere;
  }
  set.size = list.length;
}
