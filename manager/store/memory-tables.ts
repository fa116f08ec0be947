/** The rows of the memory store and how changes are made to them: all of a batch, or none of it. */
import { managerLimits } from "../../schema/limits.ts";
import { storeLimits } from "../../schema/limits/store.ts";
import { isTerminal } from "../../schema/run.ts";
import type { Change } from "../control/changes.ts";
import type {
  AttemptRecord,
  EventRecord,
  HoldRecord,
  JournalRecord,
  KeyRecord,
  RunRecord,
  SetAsideRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "../control/records.ts";
import { StoreError } from "./store.ts";

/** Maps keep the order of insertion, so everything that is read from them is the same in every run of a simulation. */
export interface MemoryTables {
  readonly tasks: Map<string, TaskRecord>;
  /** `pool/name` of tasks that are not deleted → id; a name has no `/` and an id neither. */
  readonly names: Map<string, string>;
  readonly versions: Map<string, TaskVersionRecord>;
  readonly runs: Map<string, RunRecord>;
  /** Ids of runs that are not terminal: what leaders look for, beside any amount of history. */
  readonly liveRuns: Set<string>;
  readonly attempts: Map<string, AttemptRecord>;
  /** Run id → its attempts' ids by number. */
  readonly attemptsOfRun: Map<string, Map<number, string>>;
  readonly workers: Map<string, WorkerRecord>;
  readonly journals: Map<string, JournalRecord>;
  /** Pool → number → event. */
  readonly events: Map<string, Map<number, EventRecord>>;
  readonly keys: Map<string, KeyRecord>;
  readonly setAside: Map<string, SetAsideRecord>;
  /** By pool. */
  readonly holds: Map<string, HoldRecord>;
}

export function memoryTables(): MemoryTables {
  return {
    tasks: new Map(),
    names: new Map(),
    versions: new Map(),
    runs: new Map(),
    liveRuns: new Set(),
    attempts: new Map(),
    attemptsOfRun: new Map(),
    workers: new Map(),
    journals: new Map(),
    events: new Map(),
    keys: new Map(),
    setAside: new Map(),
    holds: new Map(),
  };
}

/** Takes back one thing that was done. */
type Undo = () => void;

/** Makes the changes in order. When one cannot be, those before it are taken back and a permanent `StoreError` is thrown. */
export function applyAll(tables: MemoryTables, changes: readonly Change[]): void {
  const undos: Undo[] = [];
  try {
    for (const change of changes) apply(tables, change, undos);
  } catch (error) {
    for (const undo of undos.toReversed()) undo();
    throw error;
  }
}

function apply(tables: MemoryTables, change: Change, undos: Undo[]): void {
  switch (change.op) {
    case "insertTask":
      add(tables.tasks, change.row.id, change.row, "task", undos);
      return nameTask(tables, undefined, change.row, undos);
    case "updateTask": {
      const before = alter(tables.tasks, change.id, change.set, "task", undos);
      if (before) nameTask(tables, before, tables.tasks.get(change.id) as TaskRecord, undos);
      return;
    }
    case "insertVersion":
      return add(tables.versions, versionKey(change.row.taskId, change.row.version), change.row, "version", undos);
    case "insertRun":
      add(tables.runs, change.row.id, change.row, "run", undos);
      return markLive(tables, change.row.id, undos);
    case "updateRun":
      if (alter(tables.runs, change.id, change.set, "run", undos)) markLive(tables, change.id, undos);
      return;
    case "insertAttempt":
      add(tables.attempts, change.row.id, change.row, "attempt", undos);
      return add(within(tables.attemptsOfRun, change.row.runId), change.row.number, change.row.id, "attempt's number", undos);
    case "updateAttempt":
      alter(tables.attempts, change.id, change.set, "attempt", undos);
      return;
    case "insertWorker":
      return add(tables.workers, change.row.id, change.row, "worker", undos);
    case "updateWorker":
      alter(tables.workers, change.id, change.set, "worker", undos);
      return;
    case "insertJournal":
      return add(tables.journals, `${change.row.workerId}/${change.row.journal}`, change.row, "journal", undos);
    case "updateJournal":
      alter(tables.journals, `${change.workerId}/${change.journal}`, { applied: change.applied }, "journal", undos);
      return;
    case "insertEvent":
      return add(within(tables.events, change.row.pool), change.row.number, change.row, "event", undos);
    case "insertKey":
      return add(tables.keys, keyKey(change.row.taskId, change.row.key), change.row, "key", undos);
    case "deleteKeys":
      return deleteKeys(tables, change.before, undos);
    case "insertSetAside":
      add(tables.setAside, change.row.id, change.row, "row set aside", undos);
      return trimSetAside(tables, undos);
    case "insertHold":
      return add(tables.holds, change.row.pool, change.row, "hold of pool", undos);
    case "updateHold":
      alter(tables.holds, change.pool, change.set, "hold of pool", undos);
      return;
    case "deleteHold":
      if (!tables.holds.has(change.pool))
        throw new StoreError("permanent", true, `There is no hold of pool ${change.pool} to end.`);
      return drop(tables.holds, change.pool, undos);
  }
}

export function versionKey(taskId: string, version: number): string {
  return `${taskId}/${version}`;
}

export function keyKey(taskId: string, key: string): string {
  return `${taskId}/${key}`;
}

/** The map under a key of a map of maps, made when it is not there; an empty one left by an undo does no harm. */
function within<K, L, V>(maps: Map<K, Map<L, V>>, key: K): Map<L, V> {
  const known = maps.get(key);
  if (known) return known;
  const made = new Map<L, V>();
  maps.set(key, made);
  return made;
}

function add<K, V>(rows: Map<K, V>, key: K, row: V, what: string, undos: Undo[]): void {
  if (rows.has(key)) throw new StoreError("permanent", true, `A row is against a constraint: the ${what} ${String(key)} exists.`);
  rows.set(key, row);
  undos.push(() => rows.delete(key));
}

/** Sets fields of the row, as a new object; returns the row as it was. A set of nothing asks for no row and does nothing. */
function alter<V extends object>(
  rows: Map<string, V>,
  key: string,
  set: NoInfer<Partial<V>>,
  what: string,
  undos: Undo[],
): V | undefined {
  const given = Object.entries(set).filter(([, value]) => value !== undefined);
  if (given.length === 0) return undefined;
  const before = rows.get(key);
  if (!before) throw new StoreError("permanent", true, `There is no ${what} ${key} to update.`);
  rows.set(key, { ...before, ...Object.fromEntries(given) });
  undos.push(() => rows.set(key, before));
  return before;
}

function drop<K, V>(rows: Map<K, V>, key: K, undos: Undo[]): void {
  const row = rows.get(key);
  if (row === undefined) return;
  rows.delete(key);
  undos.push(() => rows.set(key, row));
}

function nameTask(tables: MemoryTables, before: TaskRecord | undefined, after: TaskRecord, undos: Undo[]): void {
  if (before && before.name === after.name && before.deleted === after.deleted) return;
  if (before && !before.deleted) drop(tables.names, `${before.pool}/${before.name}`, undos);
  if (!after.deleted) add(tables.names, `${after.pool}/${after.name}`, after.id, "name", undos);
}

function markLive(tables: MemoryTables, id: string, undos: Undo[]): void {
  const live = !isTerminal((tables.runs.get(id) as RunRecord).state);
  if (live === tables.liveRuns.has(id)) return;
  if (live) tables.liveRuns.add(id);
  else tables.liveRuns.delete(id);
  undos.push(() => (live ? tables.liveRuns.delete(id) : tables.liveRuns.add(id)));
}

function deleteKeys(tables: MemoryTables, before: number, undos: Undo[]): void {
  const old = [...tables.keys].filter(([, row]) => row.at < before).toSorted(([, a], [, b]) => a.at - b.at);
  for (const [key] of old.slice(0, storeLimits.keysForgotten)) drop(tables.keys, key, undos);
}

function trimSetAside(tables: MemoryTables, undos: Undo[]): void {
  if (tables.setAside.size <= managerLimits.setAside) return;
  const oldest = [...tables.setAside.values()].toSorted(setAsideNewestFirst).at(-1);
  if (oldest) drop(tables.setAside, oldest.id, undos);
}

export function setAsideNewestFirst(a: SetAsideRecord, b: SetAsideRecord): number {
  return b.at - a.at || (a.id === b.id ? 0 : a.id < b.id ? 1 : -1);
}
