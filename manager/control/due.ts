/** What is to be done at an instant: a heap with lazy removal. The owner of a timer knows its instant; an entry that differs is stale. */
import { compact, makeHeap, peek, pop, push, type Heap } from "./heap.ts";
import type { AttemptCell, ControlState, RunCell, WorkerCell } from "./state.ts";

export type DueEntry =
  | { readonly kind: "attempt"; readonly of: AttemptCell }
  | { readonly kind: "loss"; readonly of: AttemptCell }
  | { readonly kind: "run"; readonly of: RunCell }
  | { readonly kind: "avoid"; readonly of: RunCell }
  | { readonly kind: "worker"; readonly of: WorkerCell }
  | { readonly kind: "rest"; readonly of: WorkerCell }
  /** Something of the whole state: placing goes on, the queue turns, the brake lets go. */
  | { readonly kind: "wake"; readonly of: null };

export interface DueHeap extends Heap<DueEntry> {
  /** From so many entries on those that are stale are thrown out: one for an instant a day away would else stay for that day. */
  compactAt: number;
}

const compactLeast = 1_000;

export function makeDueHeap(): DueHeap {
  return { ...makeHeap<DueEntry>(), compactAt: compactLeast };
}

function add({ due }: ControlState, atMono: number, entry: DueEntry): void {
  if (due.keys.length >= due.compactAt) {
    compact(due, isTrue);
    due.compactAt = Math.max(compactLeast, 2 * due.keys.length);
  }
  push(due, atMono, entry);
}

/** A resend or a question about the attempt. */
export function armAttempt(state: ControlState, attempt: AttemptCell, atMono: number | null): void {
  attempt.timerMono = atMono;
  if (atMono !== null) add(state, atMono, { kind: "attempt", of: attempt });
}

/** The decision that the attempt is lost. */
export function armLoss(state: ControlState, attempt: AttemptCell, atMono: number | null): void {
  attempt.lossMono = atMono;
  if (atMono !== null) add(state, atMono, { kind: "loss", of: attempt });
}

/** The run may be placed again. */
export function armRun(state: ControlState, run: RunCell, atMono: number | null): void {
  run.holdMono = atMono;
  if (atMono !== null) add(state, atMono, { kind: "run", of: run });
}

/** A worker that refused the run may be asked again. */
export function armAvoid(state: ControlState, run: RunCell, atMono: number | null): void {
  run.avoidMono = atMono;
  if (atMono !== null) add(state, atMono, { kind: "avoid", of: run });
}

/** A look at the worker's silence. */
export function armWorker(state: ControlState, worker: WorkerCell, atMono: number | null): void {
  worker.dueMono = atMono;
  if (atMono !== null) add(state, atMono, { kind: "worker", of: worker });
}

/** The worker has rested after its refusals. */
export function armRest(state: ControlState, worker: WorkerCell, atMono: number | null): void {
  worker.restMono = atMono;
  if (atMono !== null) add(state, atMono, { kind: "rest", of: worker });
}

/** The shell shall come back at this instant. */
export function armWake(state: ControlState, atMono: number): void {
  add(state, atMono, { kind: "wake", of: null });
}

/** The next entry that is due now and still true; its timer is cleared. */
export function takeDue(state: ControlState, nowMono: number): DueEntry | undefined {
  for (;;) {
    dropStale(state);
    const first = peek(state.due);
    if (!first || first.key > nowMono) return undefined;
    pop(state.due);
    clearTimer(first.item);
    return first.item;
  }
}

/** When the core needs a tick, in mono ms; null when nothing is due ever. */
export function nextDue(state: ControlState): number | null {
  dropStale(state);
  return peek(state.due)?.key ?? null;
}

function dropStale(state: ControlState): void {
  for (let first = peek(state.due); first && !isTrue(first.key, first.item); first = peek(state.due)) pop(state.due);
}

function isTrue(atMono: number, entry: DueEntry): boolean {
  return entry.kind === "wake" || timerOf(entry) === atMono;
}

function timerOf(entry: Exclude<DueEntry, { readonly kind: "wake" }>): number | null {
  switch (entry.kind) {
    case "attempt":
      return entry.of.row.state === "ended" ? null : entry.of.timerMono;
    case "loss":
      return entry.of.row.state === "ended" ? null : entry.of.lossMono;
    case "run":
      return entry.of.holdMono;
    case "avoid":
      return entry.of.avoidMono;
    case "worker":
      return entry.of.dueMono;
    case "rest":
      return entry.of.restMono;
  }
}

function clearTimer(entry: DueEntry): void {
  switch (entry.kind) {
    case "attempt":
      entry.of.timerMono = null;
      return;
    case "loss":
      entry.of.lossMono = null;
      return;
    case "run":
      entry.of.holdMono = null;
      return;
    case "avoid":
      entry.of.avoidMono = null;
      return;
    case "worker":
      entry.of.dueMono = null;
      return;
    case "rest":
      entry.of.restMono = null;
      return;
    case "wake":
      return;
  }
}
