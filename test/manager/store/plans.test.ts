import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codecsOf } from "../../../manager/store/codecs.ts";
import { openSqliteFile, type SqliteFile } from "../../../manager/store/sqlite/file.ts";
import { sqliteLeader } from "../../../manager/store/sqlite/leader.ts";
import { sqliteReads } from "../../../manager/store/sqlite/reads.ts";
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import type { EventFilter, LeaderStore, ReadStore, RunFilter } from "../../../manager/store/store.ts";
import * as tables from "../../../manager/store/tables/sqlite.ts";
import { runStates } from "../../../schema/run.ts";
import type { Value } from "../../../manager/store/rows.ts";
import { lead, pool, run, worker } from "../../contract/store/rows.ts";

const runsStored = 200_000;

/** A file that remembers what was asked of it. */
function recording(file: SqliteFile): SqliteFile & { readonly asked: { text: string; values: readonly Value[] }[] } {
  const asked: { text: string; values: readonly Value[] }[] = [];
  const note =
    <T>(verb: (text: string, values: readonly Value[]) => T) =>
    (text: string, values: readonly Value[]): T => {
      asked.push({ text, values });
      return verb(text, values);
    };
  return { ...file, asked, all: note(file.all), get: note(file.get), run: note(file.run) };
}

describe("with 200,000 runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-plans-"));
  let file: ReturnType<typeof recording>;
  let reads: ReadStore;
  let leader: LeaderStore;

  beforeAll(async () => {
    const path = join(folder, "muster.db");
    const store = await openSqliteStore({ file: path });
    const first = await lead(store);
    await first.commit({ op: "insertWorker", row: worker() });
    await store[Symbol.asyncDispose]();
    file = recording(openSqliteFile(path, 0));
    file.exec("PRAGMA synchronous = OFF; BEGIN");
    const codecs = codecsOf(tables);
    fill(file, codecs.run.insert, codecs.run.encode(run({ taskId: "t", labels: { zone: "a" } })));
    file.exec("COMMIT");
    reads = sqliteReads(file, codecs);
    leader = sqliteLeader(file, codecs);
  });

  afterAll(() => {
    file.close();
    rmSync(folder, { recursive: true });
  });

  /** The plans of everything that the work asks, each as SQLite prints it. */
  async function plansOf(work: () => Promise<unknown>): Promise<string[]> {
    file.asked.length = 0;
    await work();
    const asked = [...file.asked];
    expect(asked.length).toBeGreaterThan(0);
    return asked.flatMap(({ text, values }) => file.all(`EXPLAIN QUERY PLAN ${text}`, values).map((row) => String(row[3])));
  }

  function expectFlat(plans: readonly string[], ...indexes: string[]): void {
    for (const plan of plans) {
      expect(plan).not.toMatch(/TEMP B-TREE|AUTOMATIC/);
      expect(plan).not.toMatch(/SCAN (runs|events|attempts|tasks|run_labels|task_labels|worker_labels)/);
      // Without a filter a list walks an index from its beginning and stops at its limit; `leases` has a row for each pool.
      if (plan.startsWith("SCAN"))
        expect(plan).toMatch(
          /^SCAN (leases|workers USING INDEX sqlite_autoindex_workers_1|set_aside USING INDEX set_aside_by_time)$/,
        );
    }
    for (const index of indexes) expect(plans.join("\n")).toContain(index);
  }

  const page = { limit: 50, cursor: null };
  const label = { key: "zone", value: "a" };
  const runFilters: readonly { readonly filter: Partial<RunFilter>; readonly index: string }[] = [
    { filter: {}, index: "runs_by_state" },
    { filter: { states: ["failed"] }, index: "runs_by_state" },
    { filter: { pool }, index: "runs_by_state" },
    { filter: { since: 1_000, until: 2_000 }, index: "runs_by_state (state=? AND created_at>? AND created_at<?)" },
    { filter: { taskId: "t1" }, index: "runs_by_task" },
    { filter: { taskId: "t1", states: ["failed", "running"] }, index: "runs_by_task (task_id=? AND state=?" },
    { filter: { taskId: "t1", since: 5 }, index: "runs_by_task (task_id=? AND state=? AND created_at>?)" },
    { filter: { workerId: "w1" }, index: "runs_by_worker" },
    {
      filter: { workerId: "w2", states: ["running"], until: 9_999 },
      index: "runs_by_worker (worker_id=? AND created_at<?)",
    },
    { filter: { label }, index: "run_labels USING PRIMARY KEY (label=?)" },
    {
      filter: { label, states: ["queued"], taskId: "t1", since: 7 },
      index: "run_labels USING PRIMARY KEY (label=? AND created_at>?)",
    },
  ];

  test.for(runFilters)("the list of runs by $filter reads $index", async ({ filter, index }) => {
    const first = await reads.runs({ ...page, ...filter });
    const { next } = await reads.runs({ ...page, limit: 1, ...filter });
    expect(first.items.length).toBeGreaterThan(0);
    expectFlat(await plansOf(() => reads.runs({ ...page, ...filter })), index);
    expectFlat(
      await plansOf(() => reads.runs({ ...page, ...filter, cursor: next })),
      index.replace(/[)].*$/, ""),
      "created_at<?",
    );
  });

  const eventFilters: readonly { readonly filter: Partial<EventFilter>; readonly index: string }[] = [
    { filter: {}, index: "events USING PRIMARY KEY (pool=? AND number>?)" },
    { filter: { runId: "r77" }, index: "events_by_run (run_id=? AND pool=? AND number>?)" },
    { filter: { taskId: "t1" }, index: "events_by_task (task_id=? AND pool=? AND number>?)" },
    { filter: { workerId: "w1" }, index: "events_by_worker (worker_id=? AND pool=? AND number>?)" },
    { filter: { kinds: ["runQueued", "runEnded"] }, index: "events_by_kind (kind=? AND pool=? AND number>?)" },
    { filter: { taskId: "t1", kinds: ["runEnded"] }, index: "events_by_" },
    { filter: { workerId: "w1", kinds: ["runEnded"], runId: "r77" }, index: "events_by_" },
  ];

  test.for(eventFilters)("the events by $filter read $index", async ({ filter, index }) => {
    expectFlat(await plansOf(() => reads.events({ limit: 50, after: { [pool]: 10 }, ...filter })), index);
  });

  test("the other lists and single rows read by index", async () => {
    expectFlat(await plansOf(() => reads.tasks(page)), "tasks_by_time");
    expectFlat(await plansOf(() => reads.tasks({ ...page, pool })), "tasks_by_pool");
    expectFlat(await plansOf(() => reads.tasks({ ...page, name: "n" })), "tasks_by_name");
    expectFlat(await plansOf(() => reads.tasks({ ...page, label })), "task_labels USING PRIMARY KEY (label=?)");
    expectFlat(await plansOf(() => reads.workers(page)));
    expectFlat(await plansOf(() => reads.workers({ ...page, pool })), "workers_by_pool");
    expectFlat(await plansOf(() => reads.workers({ ...page, states: ["online"] })), "workers_by_state");
    expectFlat(
      await plansOf(() => reads.workers({ ...page, label })),
      "worker_labels USING PRIMARY KEY (label=? AND given_by=?)",
    );
    expectFlat(await plansOf(() => reads.setAside(10)));
    expectFlat(await plansOf(() => reads.lastRun("t1")), "runs_by_task");
    expectFlat(await plansOf(() => reads.run("r77")), "attempts_run");
    expectFlat(await plansOf(() => reads.lastEvents()));
    expectFlat(await plansOf(() => reads.taskByName(pool, "n")), "tasks_name");
  });

  test("a leader loads what lives by index, however long the history is", async () => {
    expectFlat(
      await plansOf(() => leader.loadLive(pool)),
      "runs_queue (pool=?)",
      "runs_by_state (state=?)",
      "attempts_open (pool=?)",
      "workers_by_pool",
    );
    const queue = await plansOf(() => leader.load(pool, [{ need: "queuePage", after: 5, limit: 100 }]));
    expectFlat(queue, "runs_queue (pool=? AND run_order>?)");
    expectFlat(
      await plansOf(() => leader.load(pool, [{ need: "liveRunsOfTask", taskId: "t1", limit: 100 }])),
      "runs_by_task (task_id=? AND state=?)",
    );
    expectFlat(
      await plansOf(() =>
        leader.load(pool, [
          { need: "key", taskId: "t1", key: "k" },
          { need: "attempts", ids: ["a"] },
        ]),
      ),
    );
  });

  test("a page that finds little looks at a bounded number of rows, says so by its cursor, and going on finds it all", async () => {
    const rare = { label, workerId: "w9" } as const;
    const found: string[] = [];
    let pages = 0;
    for (let cursor: string | null = null; pages === 0 || cursor !== null; pages += 1) {
      file.asked.length = 0;
      const one: Awaited<ReturnType<ReadStore["runs"]>> = await reads.runs({ limit: 50, cursor, ...rare });
      expect(file.asked.length).toBeLessThan(40);
      found.push(...one.items.map((item) => item.id));
      cursor = one.next;
    }
    expect(pages).toBeGreaterThan(1);
    expect(found).toEqual([`r${runsStored - 1}`, "r1"]);
  });
});

/** Rows made by SQLite itself, which is quicker than by hand: most runs have ended, as in a long history. */
function fill(file: SqliteFile, insertRun: string, sample: readonly Value[]): void {
  const names = (/\((`.*?`)\) VALUES/.exec(insertRun)?.[1] ?? "").split(", ").map((name) => name.slice(1, -1));
  const made: Record<string, string> = {
    id: "'r' || n",
    run_order: "n",
    created_at: "1000 + n / 4",
    task_id: "'t' || (n % 7)",
    worker_id: `CASE WHEN n IN (1, ${runsStored - 1}) THEN 'w9' ELSE 'w' || (n % 5) END`,
    state: `CASE n % 100 ${runStates.map((state, at) => `WHEN ${at} THEN '${state}'`).join(" ")} ELSE 'succeeded' END`,
  };
  const columns = names.map((name) => made[name] ?? "?");
  const values = sample.filter((_, at) => made[names[at] ?? ""] === undefined);
  const numbers = `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${runsStored})`;
  file.run(`INSERT INTO runs (${names.join(", ")}) ${numbers} SELECT ${columns.join(", ")} FROM numbers`, values);
  // The label of a tenth of them, at both ends of the history.
  file.run(
    "INSERT INTO run_labels SELECT 'zone=a', created_at, run_order, pool, id FROM runs WHERE run_order % 10 = 0 OR worker_id = 'w9'",
    [],
  );
  file.run(
    "INSERT INTO events SELECT pool, run_order, created_at, 'runEnded', task_id, id, NULL, worker_id, NULL, '{}' FROM runs WHERE run_order <= 20000",
    [],
  );
}
