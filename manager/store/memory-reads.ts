/** The verbs of everyone who looks, on plain maps. */
import type { AttemptRecord, RunRecord } from "../control/records.ts";
import { cursorOf, keyOf, type KeyPart } from "./cursors.ts";
import { setAsideNewestFirst, versionKey, type MemoryTables } from "./memory-tables.ts";
import { mergeByTime, numberAfter } from "./read-events.ts";
import { runsNewestFirst } from "./read-runs.ts";
import { keepsTask, tasksNewestFirst } from "./read-tasks.ts";
import { keepsWorker, workersById } from "./read-workers.ts";
import type { EventFilter, LeaseRow, Page, ReadStore, RunFilter } from "./store.ts";

/** Makes the verbs. `pools` gives the pools that have a lease row. */
export function memoryReads(
  tables: MemoryTables,
  pools: () => readonly string[],
  leaseOf: (pool: string) => LeaseRow | undefined,
): ReadStore {
  return {
    task: async (id) => tables.tasks.get(id) ?? null,
    taskByName: async (pool, name) => tables.tasks.get(tables.names.get(`${pool}/${name}`) ?? "") ?? null,
    version: async (taskId, version) => tables.versions.get(versionKey(taskId, version)) ?? null,
    lastRun: async (taskId) =>
      [...tables.runs.values()].filter((run) => run.taskId === taskId).toSorted(runsNewestFirst)[0] ?? null,
    attempt: async (id) => tables.attempts.get(id) ?? null,
    worker: async (id) => tables.workers.get(id) ?? null,
    run: async (id) => {
      const run = tables.runs.get(id);
      return run ? { run, attempts: attemptsOf(tables, id) } : null;
    },
    tasks: async (filter) => {
      const key = keyOf<[number, string]>(filter.cursor, ["number", "string"]);
      const rows = [...tables.tasks.values()].filter((task) => keepsTask(filter, task));
      return page(rows, tasksNewestFirst, key && { createdAt: key[0], id: key[1] }, filter.limit, (task) => [
        task.createdAt,
        task.id,
      ]);
    },
    runs: async (filter) => {
      const key = keyOf<[number, number, string]>(filter.cursor, ["number", "number", "string"]);
      const rows = [...tables.runs.values()].filter((run) => keepsRun(filter, run));
      const after = key && { createdAt: key[0], order: key[1], pool: key[2] };
      return page(rows, runsNewestFirst, after, filter.limit, (run) => [run.createdAt, run.order, run.pool]);
    },
    workers: async (filter) => {
      const key = keyOf<[string]>(filter.cursor, ["string"]);
      const rows = [...tables.workers.values()].filter((worker) => keepsWorker(filter, worker));
      return page(rows, workersById, key && { id: key[0] }, filter.limit, (worker) => [worker.id]);
    },
    events: async (filter) =>
      mergeByTime(
        pools().map((pool) => eventsOfPool(tables, pool, filter)),
        filter.limit,
      ),
    holds: async () => [...tables.holds.values()].toSorted((a, b) => (a.pool < b.pool ? -1 : 1)),
    leases: async () => pools().flatMap((pool) => leaseOf(pool) ?? []),
    lastEvents: async () => Object.fromEntries(pools().map((pool) => [pool, lastEvent(tables, pool)])),
    setAside: async (limit) => [...tables.setAside.values()].toSorted(setAsideNewestFirst).slice(0, limit),
  };
}

/** The attempts of a run by their number. */
export function attemptsOf(tables: MemoryTables, runId: string): AttemptRecord[] {
  const ids = tables.attemptsOfRun.get(runId)?.values() ?? [];
  return [...ids].flatMap((id) => tables.attempts.get(id) ?? []).toSorted((a, b) => a.number - b.number);
}

export function lastEvent(tables: MemoryTables, pool: string): number {
  return [...(tables.events.get(pool)?.keys() ?? [])].reduce((newest, number) => Math.max(newest, number), 0);
}

function keepsRun(filter: RunFilter, run: RunRecord): boolean {
  const { label, since, until } = filter;
  return (
    (filter.pool === undefined || run.pool === filter.pool) &&
    (filter.taskId === undefined || run.taskId === filter.taskId) &&
    (filter.workerId === undefined || run.workerId === filter.workerId) &&
    (filter.states === undefined || filter.states.includes(run.state)) &&
    (since === undefined || run.createdAt >= since) &&
    (until === undefined || run.createdAt < until) &&
    (label === undefined || (Object.hasOwn(run.labels, label.key) && run.labels[label.key] === label.value))
  );
}

function eventsOfPool(tables: MemoryTables, pool: string, filter: EventFilter) {
  const after = numberAfter(filter, pool);
  return [...(tables.events.get(pool)?.values() ?? [])]
    .filter(
      (event) =>
        event.number > after &&
        (filter.runId === undefined || event.runId === filter.runId) &&
        (filter.taskId === undefined || event.taskId === filter.taskId) &&
        (filter.workerId === undefined || event.workerId === filter.workerId) &&
        (filter.kinds === undefined || filter.kinds.includes(event.kind)),
    )
    .toSorted((a, b) => a.number - b.number)
    .slice(0, filter.limit);
}

/** Sorts all of them for each page: enough for what fits into memory and is lost with the process. */
function page<T extends P, P>(
  rows: readonly T[],
  compare: (a: P, b: P) => number,
  after: P | null,
  limit: number,
  keyParts: (row: T) => readonly KeyPart[],
): Page<T> {
  const rest = rows.filter((row) => after === null || compare(row, after) > 0).toSorted(compare);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items, next: last && rest.length > limit ? cursorOf(keyParts(last)) : null };
}
