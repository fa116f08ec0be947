import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { codecsOf } from "../../../../manager/store/codecs.ts";
import { cursorOf } from "../../../../manager/store/cursors.ts";
import { openConnections, type Connections } from "../../../../manager/store/mariadb/connection.ts";
import { loadLive } from "../../../../manager/store/mariadb/live.ts";
import { loadNeeds } from "../../../../manager/store/mariadb/loads.ts";
import { mariadbReads } from "../../../../manager/store/mariadb/reads.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import type { EventFilter, ReadStore, RunFilter } from "../../../../manager/store/store.ts";
import * as tables from "../../../../manager/store/tables/mariadb.ts";
import type { Value } from "../../../../manager/store/rows.ts";
import { runStates } from "../../../../schema/run.ts";
import { lead, pool, run, worker } from "../../../contract/store/rows.ts";
import { MariadbServer, mariadbMissing } from "../../../kit/mariadb.ts";

const runsStored = 30_000;

/** What one statement cost: the index of each table that it read, as EXPLAIN names them, and how many rows the server touched. */
interface Cost {
  readonly text: string;
  readonly indexes: readonly string[];
  readonly extra: string;
  readonly touched: number;
}

/** Rows that the engine gave, and index entries that it looked at and kept to itself. */
const statusText = "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name = 'Handler_icp_attempts'";

const missing = mariadbMissing();
const codecs = codecsOf(tables);
const costs: Cost[] = [];
let server: MariadbServer;
let connections: Connections;
let reads: ReadStore;

/** Reads as the pool does, and notes what it cost. */
const counting: Pick<Connections, "read"> = {
  read: async (text, values = []) =>
    await connections.session(async (session) => {
      const touched = async (): Promise<number> =>
        (await session.query(statusText)).rows.reduce((sum, row) => sum + Number(row[1]), 0);
      const idle = -(await touched()) + (await touched());
      const before = await touched();
      const { rows } = await session.query(text, values);
      const after = await touched();
      const plan = (await session.query(`EXPLAIN ${text}`, values)).rows;
      costs.push({
        text,
        // Columns of EXPLAIN: id, select_type, table, type, possible_keys, key, key_len, ref, rows, Extra.
        indexes: plan.map((row) => `${String(row[2])} ${String(row[3])} ${String(row[5])}`),
        extra: plan.map((row) => String(row[9])).join("; "),
        touched: after - before - idle,
      });
      return rows;
    }),
};

beforeAll(async () => {
  if (missing !== undefined) return;
  // Counted from every page, and when it is asked for: of a few pages drawn at random each run would have other figures to plan by.
  server = await MariadbServer.start(["--innodb-stats-auto-recalc=OFF", "--innodb-stats-persistent-sample-pages=100000"]);
  connections = await openConnections(await server.database());
  const leader = await lead(await openMariadbStore(connections));
  await leader.commit({ op: "insertWorker", row: worker() });
  await fill();
  reads = mariadbReads(counting, codecs);
}, 60_000);

afterAll(async () => {
  if (missing !== undefined) return;
  await connections[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

beforeEach((ctx) => {
  if (missing !== undefined) ctx.skip(missing);
  costs.length = 0;
});

/** Rows made by the server itself: most runs have ended, as in a long history; a tenth has the label. */
async function fill(): Promise<void> {
  const sample = codecs.run.encode(run({ taskId: "t", labels: { zone: "a" } }));
  const made: Record<string, string> = {
    "`id`": "CONCAT('r', seq)",
    "`run_order`": "seq",
    "`created_at`": "1000 + seq DIV 4",
    "`task_id`": "CONCAT('t', seq % 7)",
    "`worker_id`": "CONCAT('w', seq % 5)",
    "`state`": `CASE seq % 100 ${runStates.map((state, at) => `WHEN ${at} THEN '${state}'`).join(" ")} ELSE 'succeeded' END`,
  };
  const names = codecs.run.fields.map((field) => field.name);
  const columns = names.map((name) => made[name] ?? "?").join(", ");
  const values: Value[] = sample.filter((_, at) => made[names[at] ?? ""] === undefined);
  await connections.session(async (session) => {
    await session.query(`INSERT INTO runs (${names.join(", ")}) SELECT ${columns} FROM seq_1_to_${runsStored}`, values);
    await session.query(
      "INSERT INTO run_labels (label, created_at, run_order, pool, run_id) SELECT 'zone=a', created_at, run_order, pool, id FROM runs WHERE run_order % 10 = 0",
    );
    await session.query(
      "INSERT INTO events (pool, number, at, kind, task_id, run_id, worker_id, data) SELECT pool, run_order, created_at, 'runEnded', task_id, id, worker_id, '{}' FROM runs",
    );
    await session.query(
      "INSERT INTO attempts (id, run_id, task_id, pool, number, worker_id, epoch, sent_at, state) SELECT CONCAT('a', seq), CONCAT('r', seq), CONCAT('t', seq % 7), 'default', 1, 'w1', 'e', seq, 'ended' FROM seq_1_to_30000",
    );
    await session.query(
      "INSERT INTO tasks (id, pool, created_at, name, version, kind, updated_at, deleted, labels) SELECT CONCAT('t', seq), 'default', seq, CONCAT('n', seq), 1, 'batch', 1, 0, '{\"zone\":\"a\"}' FROM seq_1_to_3000",
    );
    await session.query("INSERT INTO task_labels (label, created_at, task_id) SELECT 'zone=a', created_at, id FROM tasks");
    await session.query("ANALYZE TABLE runs, run_labels, events, attempts, tasks, task_labels");
  }, 60_000);
}

/** None of the statements may touch more rows than a few fetches of a page have (merge.ts: 500), nor sort, nor build a table of its own. */
function expectFlat(index: string, rowsAtMost = 600): void {
  expect(costs.length).toBeGreaterThan(0);
  for (const cost of costs) {
    expect(cost.touched, `${cost.text}\n${cost.indexes.join(", ")}`).toBeLessThanOrEqual(rowsAtMost);
    expect(cost.extra, cost.text).not.toMatch(/filesort|temporary/);
  }
  expect(costs.map((cost) => cost.indexes.join()).join("\n")).toContain(index);
  costs.length = 0;
}

const page = { limit: 50, cursor: null };
const label = { key: "zone", value: "a" };

const runFilters: readonly { readonly filter: Partial<RunFilter>; readonly index: string }[] = [
  { filter: {}, index: "runs_by_state" },
  { filter: { states: ["failed"] }, index: "runs_by_state" },
  { filter: { pool }, index: "runs_by_state" },
  { filter: { since: 2_000, until: 3_000 }, index: "runs_by_state" },
  { filter: { taskId: "t1" }, index: "runs_by_task" },
  { filter: { taskId: "t1", states: ["failed", "running"] }, index: "runs_by_task" },
  { filter: { taskId: "t1", since: 5 }, index: "runs_by_task" },
  { filter: { workerId: "w1" }, index: "runs_by_worker" },
  { filter: { workerId: "w2", states: ["running"], until: 9_999 }, index: "runs_by_worker" },
  { filter: { label }, index: "run_labels range PRIMARY" },
  { filter: { label, since: 2_000, until: 5_000 }, index: "run_labels range PRIMARY" },
];

test.for(runFilters)("the list of runs by $filter reads $index, also from the middle on", async ({ filter, index }) => {
  expect((await reads.runs({ ...page, ...filter })).items.length).toBeGreaterThan(0);
  expectFlat(index.split(" ")[0] ?? "");
  const middle = cursorOf([1_000 + runsStored / 8, runsStored / 2, pool]);
  await reads.runs({ ...page, ...filter, cursor: middle });
  expectFlat(index);
});

const eventFilters: readonly { readonly filter: Partial<EventFilter>; readonly index: string }[] = [
  { filter: {}, index: "events range PRIMARY" },
  { filter: { runId: "r77" }, index: "events_by_run" },
  { filter: { taskId: "t1" }, index: "events_by_task" },
  { filter: { workerId: "w1" }, index: "events_by_worker" },
  { filter: { kinds: ["runQueued", "runEnded"] }, index: "events_by_kind" },
];

test.for(eventFilters)("the events by $filter read $index", async ({ filter, index }) => {
  await reads.events({ limit: 50, after: { [pool]: 15_000 }, ...filter });
  expectFlat(index);
});

test("the other lists and single rows read by index", async () => {
  await reads.tasks(page);
  expectFlat("tasks_by_time");
  const middle = cursorOf([1_500, "t1500"]);
  await reads.tasks({ ...page, cursor: middle });
  await reads.tasks({ ...page, pool, cursor: middle });
  await reads.tasks({ ...page, label, cursor: middle });
  expectFlat("tasks_by_time");
  await reads.tasks({ ...page, pool });
  expectFlat("tasks_by_pool");
  await reads.tasks({ ...page, name: "n7" });
  expectFlat("tasks_by_name");
  await reads.tasks({ ...page, label });
  expectFlat("task_labels");
  await reads.workers(page);
  await reads.workers({ ...page, states: ["online"] });
  await reads.workers({ ...page, label });
  await reads.setAside(10);
  expectFlat("worker_labels");
  await reads.lastRun("t1");
  expectFlat("runs_by_task");
  await reads.run("r77");
  expectFlat("attempts_run");
  await reads.lastEvents();
  await reads.taskByName(pool, "n7");
  expectFlat("tasks_name");
});

test("a leader loads what lives by index, however long the history is", async () => {
  const live = await loadLive(counting, codecs, pool);
  expect(live.runs.length).toBeGreaterThan(1_000);
  // Each held run and its attempt, and the queue's count.
  expect(Math.max(...costs.map((cost) => cost.touched))).toBeLessThan(2_000);
  expect(costs.map((cost) => cost.indexes.join()).join("\n")).toContain("attempts_open");
  costs.length = 0;
  await loadNeeds(counting, codecs, pool, [{ need: "queuePage", after: 5, limit: 100 }]);
  expectFlat("runs_queue");
  await loadNeeds(counting, codecs, pool, [{ need: "liveRunsOfTask", taskId: "t1", limit: 100 }]);
  expectFlat("runs_by_task");
  const ids = Array.from({ length: 100 }, (_, at) => at + 1);
  await loadNeeds(counting, codecs, pool, [
    ...ids.map((at) => ({ need: "run", id: `r${at}` }) as const),
    ...ids.map((at) => ({ need: "key", taskId: `t${at}`, key: "k" }) as const),
    ...ids.map((at) => ({ need: "version", taskId: `t${at}`, version: at }) as const),
    ...ids.map((at) => ({ need: "taskByName", pool, name: `n${at}` }) as const),
    { need: "attempts", ids: ids.map((at) => `a${at}`) },
  ]);
  expectFlat("attempts range PRIMARY", 1_000);
});
