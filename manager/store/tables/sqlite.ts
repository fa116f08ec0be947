/**
 * Every table as SQLite has it; `migrations/sqlite/` makes exactly these, and a test compares. `mariadb.ts` has the same
 * tables and columns. Keys are the field names of `manager/control/records.ts`, so a row read by drizzle is a record.
 * Wide columns stand last: SQLite reads a row from its beginning, and a list looks only at the first ones.
 */
import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { End } from "../../../schema/end.ts";
import type { AttemptState, RunState } from "../../../schema/run.ts";
import type { Labels, Params, TaskDefinition } from "../../../schema/task.ts";
import type { Capacity, Facts, WorkerState } from "../../../schema/worker.ts";
import type { RunRecord, StopRequest, StoredBody } from "../../control/records.ts";

const json = (name: string) => text(name, { mode: "json" });
const flag = (name: string) => integer(name, { mode: "boolean" });

/** Term and batch of each pool (rule 17); its rows are also the list of pools. */
export const leases = sqliteTable("leases", {
  pool: text("pool").notNull().primaryKey(),
  holder: text("holder").notNull(),
  term: integer("term").notNull(),
  batch: integer("batch").notNull(),
  beat: integer("beat").notNull(),
});

export const tasks = sqliteTable(
  "tasks",
  {
    id: text("id").notNull().primaryKey(),
    pool: text("pool").notNull(),
    createdAt: integer("created_at").notNull(),
    name: text("name").notNull(),
    version: integer("version").notNull(),
    kind: text("kind").notNull().$type<"batch">(),
    updatedAt: integer("updated_at").notNull(),
    deleted: flag("deleted").notNull(),
    /** The name while the task is not deleted, else null: what makes a name unique in its pool and free again. */
    liveName: text("live_name").generatedAlwaysAs(sql`CASE WHEN deleted = 0 THEN name END`, { mode: "virtual" }),
    labels: json("labels").notNull().$type<Labels>(),
  },
  (t) => [
    uniqueIndex("tasks_name").on(t.pool, t.liveName),
    index("tasks_by_name").on(t.liveName, t.createdAt, t.id),
    index("tasks_by_pool").on(t.deleted, t.pool, t.createdAt, t.id),
    index("tasks_by_time").on(t.deleted, t.createdAt, t.id),
  ],
);

/** One row for each label of a task that is not deleted: what `?label=` pages by. */
export const taskLabels = sqliteTable(
  "task_labels",
  { label: text("label").notNull(), createdAt: integer("created_at").notNull(), taskId: text("task_id").notNull() },
  (t) => [primaryKey({ columns: [t.label, t.createdAt, t.taskId] }), index("task_labels_task").on(t.taskId)],
);

export const taskVersions = sqliteTable(
  "task_versions",
  {
    taskId: text("task_id").notNull(),
    version: integer("version").notNull(),
    body: json("body").$type<StoredBody>(),
    script: json("script").$type<StoredBody>(),
    createdAt: integer("created_at").notNull(),
    by: text("asked_by").notNull(),
    byReason: text("by_reason"),
    definition: json("definition").notNull().$type<TaskDefinition>(),
  },
  (t) => [primaryKey({ columns: [t.taskId, t.version] })],
);

export const runs = sqliteTable(
  "runs",
  {
    id: text("id").notNull().primaryKey(),
    pool: text("pool").notNull(),
    order: integer("run_order").notNull(),
    createdAt: integer("created_at").notNull(),
    state: text("state").notNull().$type<RunState>(),
    taskId: text("task_id").notNull(),
    workerId: text("worker_id"),
    taskVersion: integer("task_version").notNull(),
    taskName: text("task_name").notNull(),
    wantedWorkerId: text("wanted_worker_id"),
    startedAt: integer("started_at"),
    endedAt: integer("ended_at"),
    placements: integer("placements").notNull(),
    tries: integer("tries").notNull(),
    by: text("asked_by").notNull(),
    byReason: text("by_reason"),
    rerunOf: text("rerun_of"),
    trace: text("trace").notNull(),
    end: json("how_ended").$type<End>(),
    stop: json("stop").$type<StopRequest>(),
    progress: json("progress").$type<NonNullable<RunRecord["progress"]>>(),
    resultBody: json("result_body").$type<StoredBody>(),
    labels: json("labels").notNull().$type<Labels>(),
    params: json("params").notNull().$type<Params>(),
    result: text("result"),
  },
  (t) => [
    // A run that is placed in the batch that makes it is never in it.
    index("runs_queue")
      .on(t.pool, t.order)
      .where(sql`state = 'queued'`),
    index("runs_by_state").on(t.state, t.createdAt, t.order, t.pool),
    index("runs_by_task").on(t.taskId, t.state, t.createdAt, t.order, t.pool),
    index("runs_by_worker").on(t.workerId, t.createdAt, t.order, t.pool),
  ],
);

/** One row for each label of a run: what `?label=` pages by. */
export const runLabels = sqliteTable(
  "run_labels",
  {
    label: text("label").notNull(),
    createdAt: integer("created_at").notNull(),
    order: integer("run_order").notNull(),
    pool: text("pool").notNull(),
    runId: text("run_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.label, t.createdAt, t.order, t.pool] })],
);

export const attempts = sqliteTable(
  "attempts",
  {
    id: text("id").notNull().primaryKey(),
    runId: text("run_id").notNull(),
    taskId: text("task_id").notNull(),
    pool: text("pool").notNull(),
    number: integer("number").notNull(),
    workerId: text("worker_id").notNull(),
    epoch: text("epoch").notNull(),
    sentAt: integer("sent_at").notNull(),
    state: text("state").notNull().$type<AttemptState>(),
    startedAt: integer("started_at"),
    endedAt: integer("ended_at"),
    pid: integer("pid"),
    end: json("how_ended").$type<End>(),
  },
  // Only what has not ended is looked for by state, so history does not weigh on the index.
  (t) => [
    uniqueIndex("attempts_run").on(t.runId, t.number),
    index("attempts_open")
      .on(t.pool)
      .where(sql`state <> 'ended'`),
  ],
);

export const workers = sqliteTable(
  "workers",
  {
    id: text("id").notNull().primaryKey(),
    pool: text("pool").notNull(),
    createdAt: integer("created_at").notNull(),
    epoch: text("epoch"),
    connection: integer("connection").notNull(),
    draining: flag("draining").notNull(),
    survives: flag("survives"),
    http: flag("http"),
    state: text("state").notNull().$type<WorkerState>(),
    stateSince: integer("state_since").notNull(),
    lastSeenAt: integer("last_seen_at"),
    capacity: json("capacity").$type<Capacity>(),
    facts: json("facts").$type<Facts>(),
    ownLabels: json("own_labels").notNull().$type<Labels>(),
    apiLabels: json("api_labels").notNull().$type<Labels>(),
  },
  (t) => [index("workers_by_pool").on(t.pool, t.id), index("workers_by_state").on(t.state, t.id)],
);

/** One row for each label of a worker and who gave it; the reader overlays them (`apiLabels` win). */
export const workerLabels = sqliteTable(
  "worker_labels",
  {
    label: text("label").notNull(),
    givenBy: text("given_by").notNull().$type<"own" | "api">(),
    workerId: text("worker_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.label, t.givenBy, t.workerId] }), index("worker_labels_worker").on(t.workerId, t.givenBy)],
);

export const journals = sqliteTable(
  "journals",
  { workerId: text("worker_id").notNull(), journal: text("journal").notNull(), applied: integer("applied").notNull() },
  (t) => [primaryKey({ columns: [t.workerId, t.journal] })],
);

export const events = sqliteTable(
  "events",
  {
    pool: text("pool").notNull(),
    number: integer("number").notNull(),
    at: integer("at").notNull(),
    kind: text("kind").notNull(),
    taskId: text("task_id"),
    runId: text("run_id"),
    attemptId: text("attempt_id"),
    workerId: text("worker_id"),
    by: text("asked_by"),
    data: json("data").notNull().$type<unknown>(),
  },
  (t) => [
    primaryKey({ columns: [t.pool, t.number] }),
    index("events_by_run").on(t.runId, t.pool, t.number),
    index("events_by_task").on(t.taskId, t.pool, t.number, t.kind),
    index("events_by_worker").on(t.workerId, t.pool, t.number, t.kind),
    index("events_by_kind").on(t.kind, t.pool, t.number),
  ],
);

export const keys = sqliteTable(
  "idempotency_keys",
  {
    taskId: text("task_id").notNull(),
    key: text("idempotency_key").notNull(),
    bodyHash: text("body_hash").notNull(),
    runId: text("run_id").notNull(),
    at: integer("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.taskId, t.key] }), index("idempotency_keys_by_time").on(t.at)],
);

export const setAside = sqliteTable(
  "set_aside",
  {
    id: text("id").notNull().primaryKey(),
    pool: text("pool").notNull(),
    at: integer("at").notNull(),
    source: text("source").notNull(),
    why: text("why").notNull(),
    raw: text("raw").notNull(),
  },
  (t) => [index("set_aside_by_time").on(t.at, t.id)],
);

/** Pools whose database was taken back (rule 28). */
export const holds = sqliteTable("holds", {
  pool: text("pool").notNull().primaryKey(),
  since: integer("since").notNull(),
  by: text("asked_by"),
  byReason: text("asked_reason"),
  why: text("why").notNull(),
  short: flag("short").notNull(),
  letGo: flag("let_go").notNull(),
});

export const bodies = sqliteTable(
  "bodies",
  { sha256: text("sha256").notNull(), part: integer("part").notNull(), bytes: blob("bytes", { mode: "buffer" }).notNull() },
  (t) => [primaryKey({ columns: [t.sha256, t.part] })],
);

export const secrets = sqliteTable("secrets", {
  name: text("name").notNull().primaryKey(),
  value: blob("value", { mode: "buffer" }).notNull(),
});

/** Browser sessions, by the digest of their cookie. */
export const sessions = sqliteTable(
  "sessions",
  {
    id: text("id").notNull().primaryKey(),
    tokenHash: text("token_hash").notNull(),
    usedAt: integer("used_at").notNull(),
    endsAt: integer("ends_at").notNull(),
  },
  (t) => [index("sessions_by_use").on(t.usedAt)],
);

/** Which migrations this database has, and what they said. */
export const migrations = sqliteTable("migrations", {
  name: text("name").notNull().primaryKey(),
  sha256: text("sha256").notNull(),
});
