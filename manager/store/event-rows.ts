/**
 * Events as rows. What one commit says of one run, such as that it was queued and sent, is one row: a short run leaves two rows
 * instead of five, and each row costs an entry in every index of the table. Nothing is lost by it: each event has its number,
 * the row's and those that follow.
 */
import type { EventKind } from "../../schema/event.ts";
import type { Change } from "../control/changes.ts";
import type { EventRecord } from "../control/records.ts";

/** A row: one event, or several of one run with consecutive numbers. */
export interface EventRow {
  readonly pool: string;
  /** Of the first. */
  readonly number: number;
  readonly at: number;
  /** One kind, or the name of the pattern in `together` whose kinds the events have. */
  readonly kind: string;
  readonly taskId: string | null;
  readonly runId: string | null;
  readonly attemptId: string | null;
  readonly workerId: string | null;
  readonly by: string | null;
  /** Of one event its data, of several a `Line` each. */
  readonly data: unknown;
}

/** An event among several: `at`, which of the row's attempt (1) and worker (2) it is about, `by`, `data`. */
type Line = readonly [at: number, about: number, by: string | null, data: Readonly<Record<string, unknown>>];

const aboutAttempt = 1;
const aboutWorker = 2;

interface Pattern {
  /** What the column `kind` says; short, because it lies in three indexes. */
  readonly name: string;
  readonly kinds: readonly EventKind[];
  /** Those of the kinds that name a worker: each event of them does, and none of the others. */
  readonly ofWorker: readonly EventKind[];
}

/** What is written together, the longest first. Listed, so that a filter by kind knows every row that may hold it. */
const together: readonly Pattern[] = [
  allOfWorker("accepted+running+ended", ["attemptAccepted", "attemptRunning", "attemptEnded", "runEnded"]),
  allOfWorker("accepted+ended", ["attemptAccepted", "attemptEnded", "runEnded"]),
  allOfWorker("running+ended", ["attemptRunning", "attemptEnded", "runEnded"]),
  { name: "queued+sent", kinds: ["runQueued", "attemptSent"], ofWorker: ["attemptSent"] },
  allOfWorker("ended", ["attemptEnded", "runEnded"]),
  allOfWorker("accepted+running", ["attemptAccepted", "attemptRunning"]),
];
const byName = new Map(together.map((pattern) => [pattern.name, pattern.kinds]));
const byFirst = Map.groupBy(together, (pattern) => pattern.kinds[0]);

function allOfWorker(name: string, kinds: readonly EventKind[]): Pattern {
  return { name, kinds, ofWorker: kinds };
}

/** Events in one row at the most. */
export const eventsPerRow = Math.max(...together.map(({ kinds }) => kinds.length));

/**
 * The values of the column `kind` whose rows hold an event of one of these kinds; `of: "worker"`, of a row that has a worker:
 * one that is about this worker.
 */
export function kindTextsOf(kinds: readonly EventKind[], of: "anything" | "worker"): string[] {
  const patterns = together.filter((pattern) =>
    (of === "worker" ? pattern.ofWorker : pattern.kinds).some((kind) => kinds.includes(kind)),
  );
  return [...new Set<string>([...kinds, ...patterns.map(({ name }) => name)])];
}

/** The kinds of the events in a row whose column `kind` says this. */
export function kindsOf(text: string): readonly EventKind[] {
  return byName.get(text) ?? [text as EventKind];
}

/** A change as it is written: events are rows already. */
export type StoredChange =
  | Exclude<Change, { readonly op: "insertEvent" }>
  | { readonly op: "insertEventRow"; readonly row: EventRow };

/** The changes in their order, consecutive events put together where they may be. */
export function withEventRows(changes: readonly Change[]): StoredChange[] {
  const stored: StoredChange[] = [];
  for (let at = 0; at < changes.length;) {
    const change = changes[at] as Change;
    if (change.op !== "insertEvent") {
      stored.push(change);
      at += 1;
      continue;
    }
    const pattern = byFirst.get(change.row.kind)?.find((one) => fits(one, changes, at));
    stored.push({ op: "insertEventRow", row: pattern ? severalRow(pattern, changes, at) : change.row });
    at += pattern?.kinds.length ?? 1;
  }
  return stored;
}

function eventAt(changes: readonly Change[], at: number): EventRecord | undefined {
  const change = changes[at];
  return change?.op === "insertEvent" ? change.row : undefined;
}

/**
 * Whether the events from `at` on are of the pattern's kinds, of one run, consecutive, about one attempt and worker at most, and
 * name a worker where the pattern says so.
 */
function fits({ kinds, ofWorker }: Pattern, changes: readonly Change[], at: number): boolean {
  const first = eventAt(changes, at);
  if (!first || first.runId === null || (first.workerId !== null) !== ofWorker.includes(first.kind)) return false;
  let { attemptId, workerId } = first;
  for (let i = 1; i < kinds.length; i += 1) {
    const event = eventAt(changes, at + i);
    if (
      !event ||
      event.kind !== kinds[i] ||
      event.runId !== first.runId ||
      event.number !== first.number + i ||
      event.pool !== first.pool ||
      event.taskId !== first.taskId ||
      (event.attemptId !== null && attemptId !== null && event.attemptId !== attemptId) ||
      (event.workerId !== null && workerId !== null && event.workerId !== workerId) ||
      (event.workerId !== null) !== ofWorker.includes(event.kind)
    )
      return false;
    attemptId ??= event.attemptId;
    workerId ??= event.workerId;
  }
  return true;
}

function severalRow({ kinds, name }: Pattern, changes: readonly Change[], from: number): EventRow {
  const first = eventAt(changes, from) as EventRecord;
  const lines: Line[] = [];
  let attemptId: string | null = null;
  let workerId: string | null = null;
  for (let i = 0; i < kinds.length; i += 1) {
    const event = eventAt(changes, from + i) as EventRecord;
    const about = (event.attemptId === null ? 0 : aboutAttempt) + (event.workerId === null ? 0 : aboutWorker);
    lines.push([event.at, about, event.by, event.data]);
    attemptId ??= event.attemptId;
    workerId ??= event.workerId;
  }
  const { pool, number, at, taskId, runId } = first;
  return { pool, number, at, kind: name, taskId, runId, attemptId, workerId, by: null, data: lines };
}

/** The events of a row, in order. */
export function eventsOf(row: EventRow): EventRecord[] {
  const kinds = kindsOf(row.kind);
  if (kinds.length === 1) return [row as EventRecord];
  return (row.data as Line[]).map(([at, about, by, data], i) => ({
    pool: row.pool,
    number: row.number + i,
    at,
    kind: kinds[i] as EventKind,
    taskId: row.taskId,
    runId: row.runId,
    attemptId: (about & aboutAttempt) === 0 ? null : row.attemptId,
    workerId: (about & aboutWorker) === 0 ? null : row.workerId,
    by,
    data,
  }));
}

/** The newest event's number, from the number and kind of the newest row; 0 when there is none. */
export function lastNumberOf(row: readonly unknown[] | undefined): number {
  return row ? Number(row[0]) + kindsOf(String(row[1])).length - 1 : 0;
}

/** Reads what `lastNumberOf` wants; its value is the pool. */
export const newestEventRow = "SELECT `number`, `kind` FROM `events` WHERE `pool` = ? ORDER BY `number` DESC LIMIT 1";
