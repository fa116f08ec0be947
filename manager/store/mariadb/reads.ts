/** The verbs of everyone who looks, on MariaDB: single rows by their codecs, lists by drizzle, all from the pool of readers. */
import { desc } from "drizzle-orm";
import { drizzle } from "drizzle-orm/mysql-proxy";
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
import { StoreError, type ReadStore } from "../store.ts";
import * as tables from "../tables/mariadb.ts";
import type { Connections } from "./connection.ts";

type Read = Pick<Connections, "read">;

/** Drizzle's selects over the pool; several of one page may see different commits between them. */
export function mariadbReader(from: Read): Reader {
  const db = drizzle(async (text, values) => {
    // The lists join from the table whose order they want; MariaDB would begin where it guesses fewer rows.
    const rows = await from.read(text.replaceAll(" cross join ", " straight_join "), values as Value[]);
    return { rows };
  });
  return { db, tables, by: (forceIndex: string) => [{ forceIndex }] } as unknown as Reader;
}

/** Makes the verbs. Every error but a `ProblemError` leaves as the connections have it. */
export function mariadbReads(from: Read, codecs: Codecs): ReadStore {
  const reader = mariadbReader(from);
  const one = async <R>(codec: RowCodec<R>, where: string, values: readonly Value[]): Promise<R | null> => {
    const [row] = await from.read(`${codec.select} ${where}`, values);
    return row ? codec.decode(row) : null;
  };
  const pools = async (): Promise<string[]> =>
    (await from.read("SELECT `pool` FROM `leases` ORDER BY `pool`")).map((row) => row[0] as string);
  return {
    task: (id) => one<TaskRecord>(codecs.task, "WHERE `id` = ?", [id]),
    taskByName: (pool, name) => one(codecs.task, "WHERE `pool` = ? AND `live_name` = ?", [pool, name]),
    version: (taskId, version) => one(codecs.version, "WHERE `task_id` = ? AND `version` = ?", [taskId, version]),
    attempt: (id) => one(codecs.attempt, "WHERE `id` = ?", [id]),
    worker: (id) => one(codecs.worker, "WHERE `id` = ?", [id]),
    lastRun: (taskId) => lastRun(from, codecs, taskId),
    run: async (id) => {
      const run = await one(codecs.run, "WHERE `id` = ?", [id]);
      if (!run) return null;
      const attempts = await from.read(`${codecs.attempt.select} WHERE \`run_id\` = ? ORDER BY \`number\``, [id]);
      return { run, attempts: attempts.map(codecs.attempt.decode) };
    },
    tasks: (filter) => list(() => readTasks(reader, filter)),
    runs: (filter) => list(() => readRuns(reader, filter)),
    workers: (filter) => list(() => readWorkers(reader, filter)),
    events: (filter) => list(async () => readEvents(reader, await pools(), filter)),
    holds: async () => (await from.read(`${codecs.hold.select} ORDER BY \`pool\``)).map(codecs.hold.decode),
    leases: async () => (await from.read(`${codecs.lease.select} ORDER BY \`pool\``)).map(codecs.lease.decode),
    lastEvents: async () => {
      const newest = async (pool: string): Promise<[string, number]> => [
        pool,
        lastNumberOf((await from.read(newestEventRow, [pool]))[0]),
      ];
      return Object.fromEntries(await Promise.all((await pools()).map(newest)));
    },
    setAside: (limit) =>
      list(() =>
        reader.db.select().from(reader.tables.setAside).orderBy(desc(tables.setAside.at), desc(tables.setAside.id)).limit(limit),
      ),
  };
}

/** Drizzle puts an error of its own, with the statement and its values, around the store's. */
async function list<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const cause = (error as { readonly cause?: unknown }).cause;
    throw cause instanceof StoreError ? cause : error;
  }
}

/** The newest of the newest of each state: runs_by_task has the state before the time. */
async function lastRun(from: Read, codecs: Codecs, taskId: string): Promise<RunRecord | null> {
  const where =
    "FORCE INDEX (`runs_by_task`) WHERE `task_id` = ? AND `state` = ? ORDER BY `created_at` DESC, `run_order` DESC, `pool` DESC LIMIT 1";
  const one = runStates.map((state) => ({ text: `(${codecs.run.select} ${where})`, values: [taskId, state] }));
  const rows = await from.read(
    one.map(({ text }) => text).join(" UNION ALL "),
    one.flatMap(({ values }) => values),
  );
  return rows.map(codecs.run.decode).toSorted(runsNewestFirst)[0] ?? null;
}
