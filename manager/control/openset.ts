/** Workers in a dense array: reading by index, joining and leaving are O(1), also with 100,000 of them. */
import type { Labels } from "../../schema/task.ts";
import type { Capacity, Facts, Load } from "../../schema/worker.ts";
import type { OpenWorker, OpenWorkers } from "./placement/placement.ts";

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
}

export interface OpenSet extends OpenWorkers {
  size: number;
  readonly list: WorkerInView[];
  readonly places: Map<string, number>;
}

export function makeOpenSet(): OpenSet {
  const list: WorkerInView[] = [];
  return {
    size: 0,
    list,
    places: new Map(),
    at: (index) => list[index] as WorkerInView,
  };
}

/** Puts the worker in or takes it out. */
export function setOpen(set: OpenSet, worker: WorkerInView, open: boolean): void {
  const place = set.places.get(worker.id);
  if (open === (place !== undefined)) return;
  if (place === undefined) {
    set.places.set(worker.id, set.list.length);
    set.list.push(worker);
  } else {
    const last = set.list.pop() as WorkerInView;
    if (last !== worker) {
      set.list[place] = last;
      set.places.set(last.id, place);
    }
    set.places.delete(worker.id);
  }
  set.size = set.list.length;
}
