/**
 * Every table as MariaDB has it; `migrations/mariadb/` makes exactly these. The same tables and columns as `sqlite.ts`, a
 * test compares. Text is `utf8mb4_nopad_bin` (rule 21), set by the migration: any other collation folds case or blanks.
 * Each length is at least the bound that the schema sets for the value (schema/limits.ts).
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  index,
  mediumtext,
  mysqlTable,
  primaryKey,
  text,
  uniqueIndex,
  varchar,
} from "drizzle-orm/mysql-core";
import { requestLimits } from "../../../schema/limits.ts";
import type { End } from "../../../schema/end.ts";
import type { AttemptState, RunState } from "../../../schema/run.ts";
import type { Labels, Params, TaskDefinition } from "../../../schema/task.ts";
import type { Capacity, Facts, WorkerState } from "../../../schema/worker.ts";
import type { RunRecord, StopRequest, StoredBody } from "../../control/records.ts";

/** JSON as text: a JSON column would be parsed by the driver and normalised by the server. Up to 16 MiB. */
const json = customType<{ data: unknown; driverData: string }>({
  dataType: () => "mediumtext",
  toDriver: (value) => JSON.stringify(value),
  fromDriver: (value) => JSON.parse(value),
});
/** Up to 4 GiB; a part of a body is half a mebibyte. */
const bytes = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => "longblob" });
const number = (column: string) => bigint(column, { mode: "number" });
const flag = (column: string) => boolean(column);
/** An id, or a fixed word of ours. */
const id = (column: string) => varchar(column, { length: requestLimits.idChars });
const name = (column: string) => varchar(column, { length: requestLimits.nameChars });
const sentence = (column: string) => varchar(column, { length: requestLimits.sentenceChars });
/** `key=value`. */
const label = (column: string) => varchar(column, { length: requestLimits.labelKeyChars + 1 + requestLimits.labelValueChars });

/** Term and batch of each pool (rule 17); its rows are also the list of pools. */
export const leases = mysqlTable("leases", {
  pool: id("pool").notNull().primaryKey(),
  holder: sentence("holder").notNull(),
  term: number("term").notNull(),
  batch: number("batch").notNull(),
  beat: number("beat").notNull(),
});

export const tasks = mysqlTable(
  "tasks",
  {
    id: id("id").notNull().primaryKey(),
    pool: id("pool").notNull(),
    createdAt: number("created_at").notNull(),
    name: name("name").notNull(),
    version: number("version").notNull(),
    kind: id("kind").notNull().$type<"batch">(),
    updatedAt: number("updated_at").notNull(),
    deleted: flag("deleted").notNull(),
    /** The name while the task is not deleted, else null: what makes a name unique in its pool and free again. */
    liveName: name("live_name").generatedAlwaysAs(sql`CASE WHEN deleted = 0 THEN name END`, { mode: "virtual" }),
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
export const taskLabels = mysqlTable(
  "task_labels",
  { label: label("label").notNull(), createdAt: number("created_at").notNull(), taskId: id("task_id").notNull() },
  (t) => [primaryKey({ columns: [t.label, t.createdAt, t.taskId] }), index("task_labels_task").on(t.taskId)],
);

export const taskVersions = mysqlTable(
  "task_versions",
  {
    taskId: id("task_id").notNull(),
    version: number("version").notNull(),
    body: json("body").$type<StoredBody>(),
    script: json("script").$type<StoredBody>(),
    createdAt: number("created_at").notNull(),
    by: sentence("asked_by").notNull(),
    byReason: sentence("by_reason"),
    definition: json("definition").notNull().$type<TaskDefinition>(),
  },
  (t) => [primaryKey({ columns: [t.taskId, t.version] })],
);

export const runs = mysqlTable(
  "runs",
  {
    id: id("id").notNull().primaryKey(),
    pool: id("pool").notNull(),
    order: number("run_order").notNull(),
    createdAt: number("created_at").notNull(),
    state: id("state").notNull().$type<RunState>(),
    taskId: id("task_id").notNull(),
    workerId: id("worker_id"),
    taskVersion: number("task_version").notNull(),
    taskName: name("task_name").notNull(),
    wantedWorkerId: id("wanted_worker_id"),
    startedAt: number("started_at"),
    endedAt: number("ended_at"),
    placements: number("placements").notNull(),
    tries: number("tries").notNull(),
    by: sentence("asked_by").notNull(),
    byReason: sentence("by_reason"),
    rerunOf: id("rerun_of"),
    trace: sentence("trace").notNull(),
    end: json("how_ended").$type<End>(),
    stop: json("stop").$type<StopRequest>(),
    progress: json("progress").$type<NonNullable<RunRecord["progress"]>>(),
    resultBody: json("result_body").$type<StoredBody>(),
    labels: json("labels").notNull().$type<Labels>(),
    params: json("params").notNull().$type<Params>(),
    result: mediumtext("result"),
  },
  (t) => [
    index("runs_queue").on(t.pool, t.state, t.order),
    index("runs_by_state").on(t.state, t.createdAt, t.order, t.pool),
    index("runs_by_task").on(t.taskId, t.state, t.createdAt, t.order, t.pool),
    index("runs_by_worker").on(t.workerId, t.createdAt, t.order, t.pool),
  ],
);

/** One row for each label of a run: what `?label=` pages by. */
export const runLabels = mysqlTable(
  "run_labels",
  {
    label: label("label").notNull(),
    createdAt: number("created_at").notNull(),
    order: number("run_order").notNull(),
    pool: id("pool").notNull(),
    runId: id("run_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.label, t.createdAt, t.order, t.pool] })],
);

export const attempts = mysqlTable(
  "attempts",
  {
    id: id("id").notNull().primaryKey(),
    runId: id("run_id").notNull(),
    taskId: id("task_id").notNull(),
    pool: id("pool").notNull(),
    number: number("number").notNull(),
    workerId: id("worker_id").notNull(),
    epoch: varchar("epoch", { length: 64 }).notNull(),
    sentAt: number("sent_at").notNull(),
    state: id("state").notNull().$type<AttemptState>(),
    startedAt: number("started_at"),
    endedAt: number("ended_at"),
    pid: number("pid"),
    end: json("how_ended").$type<End>(),
  },
  // MariaDB has no partial indexes: the two ranges beside `ended` are what has not ended.
  (t) => [uniqueIndex("attempts_run").on(t.runId, t.number), index("attempts_open").on(t.pool, t.state)],
);

export const workers = mysqlTable(
  "workers",
  {
    id: id("id").notNull().primaryKey(),
    pool: id("pool").notNull(),
    createdAt: number("created_at").notNull(),
    epoch: varchar("epoch", { length: 64 }),
    connection: number("connection").notNull(),
    draining: flag("draining").notNull(),
    survives: flag("survives"),
    http: flag("http"),
    state: id("state").notNull().$type<WorkerState>(),
    stateSince: number("state_since").notNull(),
    lastSeenAt: number("last_seen_at"),
    capacity: json("capacity").$type<Capacity>(),
    facts: json("facts").$type<Facts>(),
    ownLabels: json("own_labels").notNull().$type<Labels>(),
    apiLabels: json("api_labels").notNull().$type<Labels>(),
  },
  (t) => [index("workers_by_pool").on(t.pool, t.id), index("workers_by_state").on(t.state, t.id)],
);

/** One row for each label of a worker and who gave it; the reader overlays them (`apiLabels` win). */
export const workerLabels = mysqlTable(
  "worker_labels",
  {
    label: label("label").notNull(),
    givenBy: varchar("given_by", { length: 8 }).notNull().$type<"own" | "api">(),
    workerId: id("worker_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.label, t.givenBy, t.workerId] }), index("worker_labels_worker").on(t.workerId, t.givenBy)],
);

export const journals = mysqlTable(
  "journals",
  { workerId: id("worker_id").notNull(), journal: id("journal").notNull(), applied: number("applied").notNull() },
  (t) => [primaryKey({ columns: [t.workerId, t.journal] })],
);

export const events = mysqlTable(
  "events",
  {
    pool: id("pool").notNull(),
    number: number("number").notNull(),
    at: number("at").notNull(),
    kind: id("kind").notNull(),
    taskId: id("task_id"),
    runId: id("run_id"),
    attemptId: id("attempt_id"),
    workerId: id("worker_id"),
    by: sentence("asked_by"),
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

export const keys = mysqlTable(
  "idempotency_keys",
  {
    taskId: id("task_id").notNull(),
    key: varchar("idempotency_key", { length: requestLimits.idempotencyKeyChars }).notNull(),
    bodyHash: varchar("body_hash", { length: 64 }).notNull(),
    runId: id("run_id").notNull(),
    at: number("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.taskId, t.key] }), index("idempotency_keys_by_time").on(t.at)],
);

export const setAside = mysqlTable(
  "set_aside",
  {
    id: id("id").notNull().primaryKey(),
    pool: id("pool").notNull(),
    at: number("at").notNull(),
    source: sentence("source").notNull(),
    why: text("why").notNull(),
    raw: mediumtext("raw").notNull(),
  },
  (t) => [index("set_aside_by_time").on(t.at, t.id)],
);

/** Pools whose database was taken back (rule 28). */
export const holds = mysqlTable("holds", {
  pool: id("pool").notNull().primaryKey(),
  since: number("since").notNull(),
  by: sentence("asked_by"),
  byReason: sentence("asked_reason"),
  why: sentence("why").notNull(),
  short: flag("short").notNull(),
  letGo: flag("let_go").notNull(),
});

export const bodies = mysqlTable(
  "bodies",
  { sha256: varchar("sha256", { length: 64 }).notNull(), part: number("part").notNull(), bytes: bytes("bytes").notNull() },
  (t) => [primaryKey({ columns: [t.sha256, t.part] })],
);

export const secrets = mysqlTable("secrets", {
  name: name("name").notNull().primaryKey(),
  value: bytes("value").notNull(),
});

/** Browser sessions, by the digest of their cookie. */
export const sessions = mysqlTable(
  "sessions",
  {
    id: varchar("id", { length: 64 }).notNull().primaryKey(),
    tokenHash: name("token_hash").notNull(),
    usedAt: number("used_at").notNull(),
    endsAt: number("ends_at").notNull(),
  },
  (t) => [index("sessions_by_use").on(t.usedAt)],
);

/** Which migrations this database has, and what they said. */
export const migrations = mysqlTable("migrations", {
  name: name("name").notNull().primaryKey(),
  sha256: varchar("sha256", { length: 64 }).notNull(),
});
