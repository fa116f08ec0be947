/** The verbs of everyone who looks, on SQLite: single rows by prepared statements, lists by drizzle over the same file. */
import { desc } from "drizzle-orm";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import { runStates } from "../../../schema/run.ts";
import type { RunRecord, TaskRecord } from "../../control/records.ts";
import type { Codecs } from "../codecs.ts";
import { lastNumberOf, newestEventRow } from "../event-rows.ts";
import { readEvents } from "../read-events.ts";
import { readRuns, runsNewestFirst } from "../read-runs.ts";
import { readTasks } from "../read-tasks.ts";
import { readWorkers } from "../read-workers.ts";
import type { Reader } from "../reader.ts";
import type { RowCodec, Value } from "../rows.ts";
import { storeErrorOf } from "./errors.ts";
import type { SqliteFile } from "./file.ts";
import type { ReadStore } from "../store.ts";
import * as tables from "../tables/sqlite.ts";

/** Drizzle's selects over a file; each runs at once, so several of one page may see different commits between them. */
export function sqliteReader(file: SqliteFile): Reader {
  const db = drizzle(async (text, values, method) => {
    if (method === "run") throw new Error("lists only read; changes go through commit");
    return { rows: file.all(text, values as Value[]) };
  });
  return { db, tables, by: () => [] };
}

/** Makes the verbs. Every error but a `ProblemError` leaves as `storeErrorOf` has it. */
export function sqliteReads(file: SqliteFile, codecs: Codecs): ReadStore {
  const reader = sqliteReader(file);
  const guard = async <T>(work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw storeErrorOf(error);
    }
  };
  const one = <R>(codec: RowCodec<R>, where: string, values: readonly Value[]): Promise<R | null> =>
    guard(() => {
      const row = file.get(`${codec.select} ${where}`, values);
      return row ? codec.decode(row) : null;
    });
  const pools = (): string[] => file.all("SELECT `pool` FROM `leases` ORDER BY `pool`", []).map((row) => row[0] as string);
  return {
    task: (id) => one<TaskRecord>(codecs.task, "WHERE `id` = ?", [id]),
    taskByName: (pool, name) => one(codecs.task, "WHERE `pool` = ? AND `live_name` = ?", [pool, name]),
    version: (taskId, version) => one(codecs.version, "WHERE `task_id` = ? AND `version` = ?", [taskId, version]),
    attempt: (id) => one(codecs.attempt, "WHERE `id` = ?", [id]),
    worker: (id) => one(codecs.worker, "WHERE `id` = ?", [id]),
    lastRun: (taskId) => guard(() => lastRun(file, codecs, taskId)),
    run: (id) =>
      guard(() => {
        const row = file.get(`${codecs.run.select} WHERE \`id\` = ?`, [id]);
        if (!row) return null;
        const attempts = file
          .all(`${codecs.attempt.select} WHERE \`run_id\` = ? ORDER BY \`number\``, [id])
          .map(codecs.attempt.decode);
        return { run: codecs.run.decode(row), attempts };
      }),
    tasks: (filter) => guard(() => readTasks(reader, filter)),
    runs: (filter) => guard(() => readRuns(reader, filter)),
    workers: (filter) => guard(() => readWorkers(reader, filter)),
    events: (filter) => guard(() => readEvents(reader, pools(), filter)),
    holds: () => guard(() => file.all(`${codecs.hold.select} ORDER BY \`pool\``, []).map(codecs.hold.decode)),
    leases: () => guard(() => file.all(`${codecs.lease.select} ORDER BY \`pool\``, []).map(codecs.lease.decode)),
    lastEvents: () =>
      guard(() => {
        return Object.fromEntries(pools().map((pool) => [pool, lastNumberOf(file.get(newestEventRow, [pool]))]));
      }),
    setAside: (limit) =>
      guard(() =>
        reader.db.select().from(tables.setAside).orderBy(desc(tables.setAside.at), desc(tables.setAside.id)).limit(limit),
      ),
  };
}

/** The newest of the newest of each state: runs_by_task has the state before the time. */
function lastRun(file: SqliteFile, codecs: Codecs, taskId: string): RunRecord | null {
  const where = "WHERE `task_id` = ? AND `state` = ? ORDER BY `created_at` DESC, `run_order` DESC, `pool` DESC LIMIT 1";
  const newest = runStates
    .flatMap((state) => file.all(`${codecs.run.select} ${where}`, [taskId, state]))
    .map(codecs.run.decode)
    .toSorted(runsNewestFirst);
  return newest[0] ?? null;
}
