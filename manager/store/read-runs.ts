/**
 * The list of runs, newest first: by createdAt, then order, then pool. What serves each filter:
 * `label` the key of run_labels; `taskId` runs_by_task; `workerId` (the worker of the newest attempt) runs_by_worker; neither
 * of them runs_by_state. Two of them, runs_by_task and runs_by_state, have the state before the time, so there is one stream
 * for each state that is asked for. `since` and `until` bound the time in all of them. What else is asked for is looked at row
 * by row, at a bounded number of them for one page.
 */
import { and, desc, eq, gte, inArray, lt, lte, or, type Column, type SQL } from "drizzle-orm";
import { storeLimits } from "../../schema/limits/store.ts";
import { runStates, type RunState } from "../../schema/run.ts";
import type { RunRecord } from "../control/records.ts";
import { cursorOf, keyOf } from "./cursors.ts";
import { mergedPage, type Stream } from "./merge.ts";
import { labelText } from "./rows.ts";
import type { Page, RunFilter } from "./store.ts";
import type { Reader } from "./reader.ts";

/** What a page is chosen by; the rows themselves are read afterwards, only those of the page. */
interface RunKey {
  readonly id: string;
  readonly createdAt: number;
  readonly order: number;
  readonly pool: string;
  readonly state: RunState;
  readonly taskId: string;
  readonly workerId: string | null;
}

type Position = Pick<RunKey, "createdAt" | "order" | "pool">;

/** The columns that a list of runs is sorted by, in the table that serves it. */
interface Sorted {
  readonly createdAt: Column;
  readonly order: Column;
  readonly pool: Column;
}

/** One page of runs. */
export async function readRuns(reader: Reader, filter: RunFilter): Promise<Page<RunRecord>> {
  const key = keyOf<[number, number, string]>(filter.cursor, ["number", "number", "string"]);
  const page = await mergedPage<RunKey>({
    streams: streamsOf(reader, filter),
    after: key && ({ createdAt: key[0], order: key[1], pool: key[2] } as RunKey),
    compare: runsNewestFirst,
    keep: (run) => keeps(filter, run),
    limit: filter.limit,
    scanRows: storeLimits.listScanRows,
  });
  const { last } = page;
  return { items: await wholeRuns(reader, page.items), next: last && cursorOf([last.createdAt, last.order, last.pool]) };
}

/** By createdAt, then order, then pool, each the highest first. */
export function runsNewestFirst(a: Position, b: Position): number {
  return b.createdAt - a.createdAt || b.order - a.order || (a.pool === b.pool ? 0 : a.pool < b.pool ? 1 : -1);
}

function keeps(filter: RunFilter, run: RunKey): boolean {
  return (
    (filter.pool === undefined || run.pool === filter.pool) &&
    (filter.taskId === undefined || run.taskId === filter.taskId) &&
    (filter.workerId === undefined || run.workerId === filter.workerId) &&
    (filter.states === undefined || filter.states.includes(run.state))
  );
}

function streamsOf(reader: Reader, filter: RunFilter): Stream<RunKey>[] {
  const { runs } = reader.tables;
  if (filter.label) return [labelStream(reader, filter, labelText(filter.label.key, filter.label.value))];
  if (filter.taskId === undefined && filter.workerId !== undefined)
    return [runStream(reader, "runs_by_worker", filter, eq(runs.workerId, filter.workerId))];
  const by = filter.taskId === undefined ? undefined : eq(runs.taskId, filter.taskId);
  const index = by ? "runs_by_task" : "runs_by_state";
  const states = [...new Set(filter.states ?? runStates)];
  return states.map((state) => runStream(reader, index, filter, and(by, eq(runs.state, state))));
}

function runStream(reader: Reader, index: string, filter: RunFilter, by: SQL | undefined): Stream<RunKey> {
  const { runs } = reader.tables;
  return {
    fetch: (after, limit) =>
      reader.db
        .select(keyColumns(reader))
        .from(runs, ...reader.by(index))
        .where(and(by, within(runs, filter), afterPosition(runs, after)))
        .orderBy(desc(runs.createdAt), desc(runs.order), desc(runs.pool))
        .limit(limit),
  };
}

function labelStream(reader: Reader, filter: RunFilter, label: string): Stream<RunKey> {
  const { runs, runLabels } = reader.tables;
  return {
    fetch: (after, limit) =>
      reader.db
        .select(keyColumns(reader))
        .from(runLabels, ...reader.by("PRIMARY"))
        // A cross join, so that SQLite begins with the labels and not with the runs.
        .crossJoin(runs)
        .where(
          and(
            eq(runs.id, runLabels.runId),
            eq(runLabels.label, label),
            within(runLabels, filter),
            afterPosition(runLabels, after),
          ),
        )
        .orderBy(desc(runLabels.createdAt), desc(runLabels.order), desc(runLabels.pool))
        .limit(limit),
  };
}

function keyColumns({ tables: { runs } }: Reader) {
  return {
    id: runs.id,
    createdAt: runs.createdAt,
    order: runs.order,
    pool: runs.pool,
    state: runs.state,
    taskId: runs.taskId,
    workerId: runs.workerId,
  };
}

function within(sorted: Sorted, filter: RunFilter): SQL | undefined {
  return and(
    filter.since === undefined ? undefined : gte(sorted.createdAt, filter.since),
    filter.until === undefined ? undefined : lt(sorted.createdAt, filter.until),
  );
}

/** Spelled out, because MariaDB finds no range in a comparison of tuples: the first term bounds the index. */
function afterPosition(sorted: Sorted, after: Position | null): SQL | undefined {
  if (!after) return undefined;
  return and(
    lte(sorted.createdAt, after.createdAt),
    or(
      lt(sorted.createdAt, after.createdAt),
      lt(sorted.order, after.order),
      and(eq(sorted.order, after.order), lt(sorted.pool, after.pool)),
    ),
  );
}

async function wholeRuns(reader: Reader, keys: readonly RunKey[]): Promise<RunRecord[]> {
  if (keys.length === 0) return [];
  const ids = keys.map((key) => key.id);
  const rows = await reader.db.select().from(reader.tables.runs).where(inArray(reader.tables.runs.id, ids));
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}
