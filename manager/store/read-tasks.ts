/**
 * The list of tasks that are not deleted, newest first: by createdAt, then id. What serves each filter: `label` the key of
 * task_labels; `name` tasks_by_name; `pool` tasks_by_pool; none of them tasks_by_time.
 */
import { and, desc, eq, getTableColumns, lt, lte, or, type Column, type SQL } from "drizzle-orm";
import { storeLimits } from "../../schema/limits/store.ts";
import type { TaskRecord } from "../control/records.ts";
import { cursorOf, keyOf } from "./cursors.ts";
import { mergedPage, type Stream } from "./merge.ts";
import type { Reader } from "./reader.ts";
import { labelText } from "./rows.ts";
import type { Page, TaskFilter } from "./store.ts";

type Position = Pick<TaskRecord, "createdAt" | "id">;

/** One page of tasks. */
export async function readTasks(reader: Reader, filter: TaskFilter): Promise<Page<TaskRecord>> {
  const key = keyOf<[number, string]>(filter.cursor, ["number", "string"]);
  const page = await mergedPage<TaskRecord>({
    streams: [filter.label ? labelStream(reader, labelText(filter.label.key, filter.label.value)) : stream(reader, filter)],
    after: key && ({ createdAt: key[0], id: key[1] } as TaskRecord),
    compare: tasksNewestFirst,
    keep: (task) => keepsTask(filter, task),
    limit: filter.limit,
    scanRows: storeLimits.listScanRows,
  });
  return { items: page.items, next: page.last && cursorOf([page.last.createdAt, page.last.id]) };
}

export function tasksNewestFirst(a: Position, b: Position): number {
  return b.createdAt - a.createdAt || (a.id === b.id ? 0 : a.id < b.id ? 1 : -1);
}

/** Whether a task is one that the filter asks for; `name` is the whole name. */
export function keepsTask(filter: TaskFilter, task: TaskRecord): boolean {
  return (
    !task.deleted &&
    (filter.pool === undefined || task.pool === filter.pool) &&
    (filter.name === undefined || task.name === filter.name) &&
    (filter.kind === undefined || task.kind === filter.kind) &&
    (filter.label === undefined ||
      (Object.hasOwn(task.labels, filter.label.key) && task.labels[filter.label.key] === filter.label.value))
  );
}

function stream(reader: Reader, filter: TaskFilter): Stream<TaskRecord> {
  const { tasks } = reader.tables;
  const { liveName, ...columns } = getTableColumns(tasks);
  const by =
    filter.name !== undefined
      ? eq(liveName, filter.name)
      : and(eq(tasks.deleted, false), filter.pool === undefined ? undefined : eq(tasks.pool, filter.pool));
  const index = filter.name !== undefined ? "tasks_by_name" : filter.pool !== undefined ? "tasks_by_pool" : "tasks_by_time";
  return {
    fetch: (after, limit) =>
      reader.db
        .select(columns)
        .from(tasks, ...reader.by(index))
        .where(and(by, afterPosition(tasks.createdAt, tasks.id, after)))
        .orderBy(desc(tasks.createdAt), desc(tasks.id))
        .limit(limit),
  };
}

function labelStream(reader: Reader, label: string): Stream<TaskRecord> {
  const { tasks, taskLabels } = reader.tables;
  const { liveName: _, ...columns } = getTableColumns(tasks);
  return {
    fetch: (after, limit) =>
      reader.db
        .select(columns)
        .from(taskLabels, ...reader.by("PRIMARY"))
        .crossJoin(tasks)
        .where(
          and(
            eq(tasks.id, taskLabels.taskId),
            eq(taskLabels.label, label),
            afterPosition(taskLabels.createdAt, taskLabels.taskId, after),
          ),
        )
        .orderBy(desc(taskLabels.createdAt), desc(taskLabels.taskId))
        .limit(limit),
  };
}

function afterPosition(createdAt: Column, id: Column, after: Position | null): SQL | undefined {
  return after ? and(lte(createdAt, after.createdAt), or(lt(createdAt, after.createdAt), lt(id, after.id))) : undefined;
}
