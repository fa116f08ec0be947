/**
 * The list of workers by id. What serves each filter: `label` the key of worker_labels, a stream for each of the two who
 * give labels; `state` workers_by_state, a stream for each state; `pool` workers_by_pool; none of them the primary key.
 */
import { and, asc, eq, getTableColumns, gt, type SQL } from "drizzle-orm";
import { storeLimits } from "../../schema/limits/store.ts";
import type { WorkerRecord } from "../control/records.ts";
import { cursorOf, keyOf } from "./cursors.ts";
import { mergedPage, type Stream } from "./merge.ts";
import type { Reader } from "./reader.ts";
import { labelText } from "./rows.ts";
import type { Page, WorkerFilter } from "./store.ts";

/** One page of workers. */
export async function readWorkers(reader: Reader, filter: WorkerFilter): Promise<Page<WorkerRecord>> {
  const key = keyOf<[string]>(filter.cursor, ["string"]);
  const page = await mergedPage<WorkerRecord>({
    streams: streamsOf(reader, filter),
    after: key && ({ id: key[0] } as WorkerRecord),
    compare: workersById,
    keep: (worker) => keepsWorker(filter, worker),
    limit: filter.limit,
    scanRows: storeLimits.listScanRows,
  });
  return { items: page.items, next: page.last && cursorOf([page.last.id]) };
}

export function workersById(a: Pick<WorkerRecord, "id">, b: Pick<WorkerRecord, "id">): number {
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}

/** Whether a worker is one that the filter asks for. Its labels are its own, overlaid by those set through the API. */
export function keepsWorker(filter: WorkerFilter, worker: WorkerRecord): boolean {
  return (
    (filter.pool === undefined || worker.pool === filter.pool) &&
    (filter.states === undefined || filter.states.includes(worker.state)) &&
    (filter.label === undefined || labelOf(worker, filter.label.key) === filter.label.value)
  );
}

function labelOf(worker: WorkerRecord, key: string): string | undefined {
  if (Object.hasOwn(worker.apiLabels, key)) return worker.apiLabels[key];
  return Object.hasOwn(worker.ownLabels, key) ? worker.ownLabels[key] : undefined;
}

function streamsOf(reader: Reader, filter: WorkerFilter): Stream<WorkerRecord>[] {
  const { workers } = reader.tables;
  const { label, states, pool } = filter;
  if (label) return (["own", "api"] as const).map((givenBy) => labelStream(reader, labelText(label.key, label.value), givenBy));
  if (states) return [...new Set(states)].map((state) => stream(reader, "workers_by_state", eq(workers.state, state)));
  return [pool === undefined ? stream(reader, "PRIMARY", undefined) : stream(reader, "workers_by_pool", eq(workers.pool, pool))];
}

function stream(reader: Reader, index: string, by: SQL | undefined): Stream<WorkerRecord> {
  const { workers } = reader.tables;
  return {
    fetch: (after, limit) =>
      reader.db
        .select()
        .from(workers, ...reader.by(index))
        .where(and(by, after ? gt(workers.id, after.id) : undefined))
        .orderBy(asc(workers.id))
        .limit(limit),
  };
}

function labelStream(reader: Reader, label: string, givenBy: "own" | "api"): Stream<WorkerRecord> {
  const { workers, workerLabels } = reader.tables;
  return {
    fetch: (after, limit) =>
      reader.db
        .select(getTableColumns(workers))
        .from(workerLabels, ...reader.by("PRIMARY"))
        .crossJoin(workers)
        .where(
          and(
            eq(workers.id, workerLabels.workerId),
            eq(workerLabels.label, label),
            eq(workerLabels.givenBy, givenBy),
            after ? gt(workerLabels.workerId, after.id) : undefined,
          ),
        )
        .orderBy(asc(workerLabels.workerId))
        .limit(limit),
  };
}
