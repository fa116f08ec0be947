/**
 * The queue's window: waiting runs in memory, in lines of runs that have the same needs (one task version, one wanted
 * worker). A line whose head fits nowhere is blocked whole, so that placing costs as many looks as there are lines, not runs,
 * and a blocked line never blocks another.
 */
import { recall } from "../cache.ts";
import { compact, makeHeap, peek, pop, push, type Heap } from "../heap.ts";
import type { ControlState, RunCell } from "../state.ts";
import { versionKey } from "../state.ts";
import type { CompiledVersion } from "../versions.ts";

export interface Line {
  readonly key: string;
  readonly taskId: string;
  readonly version: number;
  /** Oldest first, from `first` on; those that left the line are passed over. */
  runs: RunCell[];
  first: number;
  /** From so many runs on those that left are thrown out. */
  compactAt: number;
  blocked: boolean;
  /** Undefined until it was read, null when the store has none. */
  compiled: CompiledVersion | null | undefined;
}

export interface Queue {
  readonly lines: Map<string, Line>;
  /** From so many lines and entries of `ready` on those that are over are thrown out. */
  compactAt: number;
  /** Lines that are not blocked, by the order of their head; entries may be stale. */
  readonly ready: Heap<Line>;
  readonly blocked: Set<Line>;
  /** Lines whose version must be read first. */
  readonly unread: Set<Line>;
  /** Lines whose runs take no slot: they may go to full workers. */
  readonly slotless: Set<Line>;
  /** Runs of the pool in state queued, in memory or not. */
  queued: number;
  /** Of these, how many are in memory. */
  inMemory: number;
  /** Runs in state retrying, all in memory. */
  retrying: number;
  /** Where the next page begins; it turns back to 0 at the end. */
  cursor: number;
  /** How many rows the page that is being read may have. */
  pageLimit: number;
  /** One page in a batch. */
  paged: boolean;
  /** Queued runs that the turning window may still visit before it rests. */
  turnsLeft: number;
  turnNotBeforeMono: number;
}

/** Below so many runs of a line, and lines of the queue, nothing is thrown out: small is small. */
const compactLeast = { runs: 16, lines: 1_000 };

export function makeQueue(queued: number): Queue {
  return {
    lines: new Map(),
    compactAt: compactLeast.lines,
    ready: makeHeap(),
    blocked: new Set(),
    unread: new Set(),
    slotless: new Set(),
    queued,
    inMemory: 0,
    retrying: 0,
    cursor: 0,
    pageLimit: 0,
    paged: false,
    turnsLeft: queued,
    turnNotBeforeMono: 0,
  };
}

/** Queued runs that are only in the store. */
export function beyond(queue: Queue): number {
  return queue.queued - queue.inMemory;
}

/** Puts a run in its line, by its order. A run that some worker refused has a line of its own: it avoids that worker. */
export function enqueue(state: ControlState, run: RunCell): void {
  const { queue } = state;
  const { row } = run;
  const key = run.avoid ? `!${row.id}` : `${versionKey(row.taskId, row.taskVersion)} ${row.wantedWorkerId ?? ""}`;
  let line = queue.lines.get(key);
  if (!line) {
    compactQueue(queue);
    line = {
      key,
      taskId: row.taskId,
      version: row.taskVersion,
      runs: [],
      first: 0,
      compactAt: compactLeast.runs,
      blocked: false,
      compiled: undefined,
    };
    queue.lines.set(key, line);
    queue.unread.add(line);
    compileLine(
      queue,
      line,
      run.version === undefined ? recall(state.versions, versionKey(row.taskId, row.taskVersion)) : run.version,
    );
  }
  run.line = key;
  compactLine(line);
  const { runs } = line;
  let at = runs.length;
  while (at > line.first && (runs[at - 1] as RunCell).row.order > row.order) at -= 1;
  if (at === runs.length) runs.push(run);
  else runs.splice(at, 0, run);
  if (at === line.first && !line.blocked) push(queue.ready, row.order, line);
}

/** What left is passed over once its line has a turn. One that is blocked, or that waits for a slot, may have none for days. */
function compactLine(line: Line): void {
  if (line.runs.length < line.compactAt) return;
  line.runs = line.runs.slice(line.first).filter((run) => run.line === line.key);
  line.first = 0;
  line.compactAt = Math.max(compactLeast.runs, 2 * line.runs.length);
}

/** The same for whole lines. */
function compactQueue(queue: Queue): void {
  const { lines, ready } = queue;
  if (lines.size + ready.keys.length < queue.compactAt) return;
  compact(ready, () => false);
  for (const line of lines.values()) {
    const run = headOf(queue, line);
    if (run && !line.blocked) push(ready, run.row.order, line);
  }
  queue.compactAt = Math.max(compactLeast.lines, 2 * (lines.size + ready.keys.length));
}

/** Its version was read. */
export function compileLine(queue: Queue, line: Line, compiled: CompiledVersion | null | undefined): void {
  if (compiled === undefined) return;
  line.compiled = compiled;
  queue.unread.delete(line);
  if (compiled?.definition.requires.slots === 0) queue.slotless.add(line);
}

/** Takes a run out of its line; its place is passed over later. */
export function dequeue(run: RunCell): void {
  run.line = null;
}

/** The line's oldest waiting run; the line goes when it has none. */
export function headOf(queue: Queue, line: Line): RunCell | undefined {
  const { runs } = line;
  while (line.first < runs.length && (runs[line.first] as RunCell).line !== line.key) line.first += 1;
  if (line.first === runs.length) {
    queue.lines.delete(line.key);
    queue.blocked.delete(line);
    queue.unread.delete(line);
    queue.slotless.delete(line);
    return undefined;
  }
  if (line.first > 1_000 && line.first * 2 > runs.length) {
    line.runs = runs.slice(line.first);
    line.first = 0;
  }
  return line.runs[line.first];
}

/** The unblocked line with the oldest head. */
export function nextLine(queue: Queue): { readonly line: Line; readonly run: RunCell } | undefined {
  for (let top = peek(queue.ready); top; top = peek(queue.ready)) {
    const line = top.item;
    // A line that was removed and made anew under the same key is another one.
    const run = line.blocked || queue.lines.get(line.key) !== line ? undefined : headOf(queue, line);
    if (run && run.row.order === top.key) return { line, run };
    pop(queue.ready);
    if (run) push(queue.ready, run.row.order, line);
  }
  return undefined;
}

/** Nothing fits its head now: it waits for a worker to change. */
export function block(queue: Queue, line: Line): void {
  line.blocked = true;
  queue.blocked.add(line);
}

export function unblock(queue: Queue, line: Line): void {
  if (!line.blocked) return;
  line.blocked = false;
  queue.blocked.delete(line);
  const run = headOf(queue, line);
  if (run) push(queue.ready, run.row.order, line);
}

/** A run in a line of its own may be tried again: the worker that it avoided may be asked again. */
export function unblockRun(queue: Queue, run: RunCell): void {
  const line = run.line === null ? undefined : queue.lines.get(run.line);
  if (line) unblock(queue, line);
}

/** Every waiting run in the lines, in no particular order. */
export function* waiting(queue: Queue): Generator<RunCell> {
  for (const line of queue.lines.values()) {
    for (let i = line.first; i < line.runs.length; i += 1) {
      const run = line.runs[i] as RunCell;
      if (run.line === line.key) yield run;
    }
  }
}
