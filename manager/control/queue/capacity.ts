/** What each worker has in use, and in which of the open sets it belongs. Everything that changes either comes through here. */
import type { Facts } from "../../../schema/worker.ts";
import { isFast, mayTake } from "./feasible.ts";
import { noPlaces, setOpen, type WorkerInView } from "./openset.ts";
import type { WorkerRecord } from "../records.ts";
import type { AttemptCell, ControlState, WorkerCell } from "../state.ts";
import type { Requires } from "../versions.ts";

const noFacts: Facts = {
  os: "",
  osVersion: "",
  arch: "",
  hostname: "",
  cpus: 0,
  memoryMb: 0,
  interpreters: {},
  drivers: [],
  agentVersion: "",
  nodeVersion: "",
  bootId: "",
};
const noCapacity = { slots: 0, memoryMb: 0, cpus: 0 };

export function makeView(row: WorkerRecord): WorkerInView {
  const view: WorkerInView = {
    id: row.id,
    workerId: row.id,
    labels: {},
    facts: noFacts,
    capacity: noCapacity,
    free: { slots: 0, memoryMb: 0, cpus: 0 },
    load: undefined,
    attempts: 0,
    places: noPlaces(),
  };
  applyRow(view, row);
  return view;
}

function applyRow(view: WorkerInView, row: WorkerRecord): void {
  view.labels = { ...row.ownLabels, ...row.apiLabels };
  view.facts = row.facts ?? noFacts;
  view.capacity = row.capacity ?? noCapacity;
}

/** Its row has changed: labels, facts, capacity, state. */
export function refreshWorker(state: ControlState, worker: WorkerCell): void {
  applyRow(worker.view, worker.row);
  placeInSets(state, worker);
  state.changed.add(worker);
}

/** It takes or gives back what an attempt needs. */
export function take(state: ControlState, worker: WorkerCell, requires: Requires): void {
  worker.used.slots += requires.slots;
  worker.used.memoryMb += requires.memoryMb;
  worker.used.cpus += requires.cpus;
  placeInSets(state, worker);
}

export function giveBack(state: ControlState, attempt: AttemptCell, nowMono: number): void {
  const { worker, requires } = attempt;
  worker.used.slots -= requires.slots;
  worker.used.memoryMb -= requires.memoryMb;
  // Sums of fractions drift; an idle worker uses nothing.
  worker.used.cpus = worker.attempts.size === 0 ? 0 : worker.used.cpus - requires.cpus;
  // A mean over the last few ends; a pause of any length counts as one second, so that it is forgotten in a few ends.
  worker.endIntervalMs = worker.endIntervalMs * 0.8 + Math.min(1_000, nowMono - worker.lastEndMono) * 0.2;
  worker.lastEndMono = nowMono;
  placeInSets(state, worker);
  state.changed.add(worker);
}

/** Puts it in the sets where it belongs now. */
export function placeInSets(state: ControlState, worker: WorkerCell): void {
  const { view, used } = worker;
  view.free.slots = view.capacity.slots - used.slots;
  view.free.memoryMb = view.capacity.memoryMb - used.memoryMb;
  view.free.cpus = view.capacity.cpus - used.cpus;
  view.attempts = worker.attempts.size;
  const taker = mayTake(worker);
  setOpen(state.takers, view, taker);
  setOpen(state.free, view, taker && view.free.slots > 0);
  setOpen(
    state.eager,
    view,
    taker && isFast(worker) && view.free.slots <= 0 && view.free.slots + state.options.limits.prefetch > 0,
  );
}
