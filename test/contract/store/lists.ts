import { describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import type { RunRecord } from "../../../manager/control/records.ts";
import type { Page, RunFilter, Store } from "../../../manager/store/store.ts";
import { ProblemError } from "../../../schema/problem.ts";
import { runStates } from "../../../schema/run.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { lead, pool, run, task, worker } from "./rows.ts";

/** All pages of a list, and how many there were. */
async function allPages<T>(
  limit: number,
  read: (cursor: string | null) => Promise<Page<T>>,
): Promise<{ items: T[]; pages: number }> {
  const items: T[] = [];
  let cursor: string | null = null;
  for (let pages = 1; ; pages += 1) {
    const page: Page<T> = await read(cursor);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    if (page.next === null) return { items, pages };
    if (pages > 1_000) throw new Error("the pages do not end");
    cursor = page.next;
  }
}

/** Runs of two pools, several tasks, workers, states and labels; many were created in the same millisecond. */
function manyRuns(): RunRecord[] {
  return Array.from({ length: 240 }, (_, at) => {
    const ofPool = at % 5 === 0 ? "b" : pool;
    return run({
      id: `r${(at * 7919) % 1_009}-${at}`,
      pool: ofPool,
      order: Math.floor(at / 2) + (at % 5 === 0 ? 1 : 1_000) + at,
      createdAt: 1_000 + Math.floor(at / 6),
      taskId: `t${at % 3}`,
      workerId: at % 4 === 0 ? null : `w${at % 2}`,
      state: runStates[(at * 7) % runStates.length] ?? "queued",
      labels: { ...(at % 2 === 0 ? { zone: "a" } : { zone: "b" }), ...(at % 30 === 0 ? { rare: "yes" } : {}) },
    });
  });
}

function expected(rows: readonly RunRecord[], filter: Omit<RunFilter, "limit" | "cursor">): string[] {
  return rows
    .filter((row) => filter.pool === undefined || row.pool === filter.pool)
    .filter((row) => filter.taskId === undefined || row.taskId === filter.taskId)
    .filter((row) => filter.workerId === undefined || row.workerId === filter.workerId)
    .filter((row) => filter.states === undefined || filter.states.includes(row.state))
    .filter((row) => filter.label === undefined || row.labels[filter.label.key] === filter.label.value)
    .filter((row) => row.createdAt >= (filter.since ?? 0) && row.createdAt < (filter.until ?? Number.POSITIVE_INFINITY))
    .toSorted((a, b) => b.createdAt - a.createdAt || b.order - a.order || (a.pool < b.pool ? 1 : -1))
    .map((row) => row.id);
}

const filters: readonly Omit<RunFilter, "limit" | "cursor">[] = [
  {},
  { pool: "b" },
  { taskId: "t1" },
  { taskId: "none" },
  { workerId: "w1" },
  { states: ["queued"] },
  { states: ["failed", "lost", "failed"] },
  { states: [] },
  { label: { key: "zone", value: "a" } },
  { label: { key: "rare", value: "yes" } },
  { label: { key: "rare", value: "no" } },
  { since: 1_010, until: 1_020 },
  { since: 1_020 },
  { until: 1_001 },
  { taskId: "t2", states: ["succeeded", "running"] },
  { taskId: "t2", workerId: "w0" },
  { workerId: "w0", states: ["running"], since: 1_005 },
  { label: { key: "zone", value: "b" }, states: ["queued", "lost"], taskId: "t0", until: 1_030 },
  { label: { key: "rare", value: "yes" }, workerId: "w0", pool },
  { pool: "b", taskId: "t1", workerId: "w1", states: runStates, label: { key: "zone", value: "a" }, since: 1_000, until: 1_040 },
];

async function fill(store: Store, rows: readonly RunRecord[]): Promise<void> {
  const leader = await lead(store);
  await leader.commit(...rows.map((row): Change => ({ op: "insertRun", row })));
}

export function listContract(open: OpenForTest): void {
  describe("the list of runs", () => {
    test("gives what each filter asks for, newest first, in pages of any size", async () => {
      const { store } = await openFor(open);
      const rows = manyRuns();
      await fill(store, rows);
      for (const filter of filters) {
        // Pages of one where there are few: each asks a real database once for every state.
        for (const limit of [expected(rows, filter).length > 40 ? 5 : 1, 7, 200]) {
          const { items } = await allPages(limit, (cursor) => store.runs({ ...filter, limit, cursor }));
          expect(
            items.map((item) => item.id),
            JSON.stringify({ filter, limit }),
          ).toEqual(expected(rows, filter));
        }
      }
      const first = rows.find((row) => row.id === expected(rows, {})[0]);
      expect((await store.runs({ limit: 1, cursor: null })).items).toEqual([first]);
    });

    test("ends with a page whose next is null, also when the last page is full", async () => {
      const { store } = await openFor(open);
      await fill(store, [run({ id: "r1", order: 1 }), run({ id: "r2", order: 2 })]);
      expect((await store.runs({ limit: 2, cursor: null })).next).toBeNull();
      expect((await store.runs({ limit: 1, cursor: null })).next).not.toBeNull();
      expect(await allPages(1, (cursor) => store.runs({ limit: 1, cursor }))).toMatchObject({ pages: 2 });
    });

    test("neither repeats nor leaves out what was there while others come", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const add = (order: number): Change => ({
        op: "insertRun",
        row: run({ id: `r${order}`, order, createdAt: 1_000 + order }),
      });
      await leader.commit(...[1, 2, 3, 4].map(add));
      const first = await store.runs({ limit: 2, cursor: null });
      await leader.commit(...[5, 6].map(add), { op: "updateRun", id: "r2", set: { state: "running" } });
      const second = await store.runs({ limit: 2, cursor: first.next });
      expect([...first.items, ...second.items].map((item) => item.id)).toEqual(["r4", "r3", "r2", "r1"]);
      expect(second.next).toBeNull();
    });

    test("follows a run to its new state and worker", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit({ op: "insertRun", row: run({ labels: { a: "b" } }) });
      await leader.commit({ op: "updateRun", id: "r1", set: { state: "running", workerId: "w1" } });
      const count = async (filter: Partial<RunFilter>) => (await store.runs({ limit: 5, cursor: null, ...filter })).items.length;
      expect(await count({ states: ["queued"] })).toBe(0);
      expect(await count({ states: ["running"], workerId: "w1" })).toBe(1);
      expect(await count({ states: ["running"], label: { key: "a", value: "b" } })).toBe(1);
    });

    test("refuses a cursor that it did not give, by name", async () => {
      const { store } = await openFor(open);
      await fill(store, manyRuns());
      const workers = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString("base64url");
      for (const cursor of [
        "",
        "x",
        "not base64!",
        workers(["w1"]),
        workers([1, 2, 3]),
        workers({ length: 3 }),
        workers([1, 2, "a", 4]),
        "A".repeat(5_000),
      ]) {
        const error: unknown = await store.runs({ limit: 5, cursor }).catch((reason: unknown) => reason);
        expect(error, cursor).toBeInstanceOf(ProblemError);
        expect((error as ProblemError).problem.code).toBe("malformed");
      }
    });
  });

  describe("the newest run of a task", () => {
    test("is found among all states", async () => {
      const { store } = await openFor(open);
      await fill(store, manyRuns());
      for (const taskId of ["t0", "t1", "t2"])
        expect((await store.lastRun(taskId))?.id).toBe(expected(manyRuns(), { taskId })[0]);
      expect(await store.lastRun("none")).toBeNull();
    });
  });

  describe("the list of tasks", () => {
    test("gives what each filter asks for, newest first, without deleted ones", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const rows = Array.from({ length: 30 }, (_, at) =>
        task({
          id: `t${(at * 7) % 30}`,
          name: `task ${at % 15}`,
          pool: at < 15 ? pool : "b",
          createdAt: 1_000 + Math.floor(at / 4),
          labels: { team: at % 2 === 0 ? "x" : "y" },
          deleted: at % 10 === 9,
        }),
      );
      await leader.commit(...rows.map((row): Change => ({ op: "insertTask", row })));
      const wanted = (keep: (row: (typeof rows)[number]) => boolean) =>
        rows.filter((row) => !row.deleted && keep(row)).toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
      for (const limit of [1, 4, 100]) {
        const list = async (filter: object) =>
          (await allPages(limit, (cursor) => store.tasks({ limit, cursor, ...filter }))).items;
        expect(await list({})).toEqual(wanted(() => true));
        expect(await list({ pool: "b" })).toEqual(wanted((row) => row.pool === "b"));
        expect(await list({ name: "task 3" })).toEqual(wanted((row) => row.name === "task 3"));
        expect(await list({ name: "task 3", pool: "b" })).toEqual(wanted((row) => row.name === "task 3" && row.pool === "b"));
        expect(await list({ kind: "batch" })).toEqual(wanted(() => true));
        expect(await list({ label: { key: "team", value: "x" } })).toEqual(wanted((row) => row.labels.team === "x"));
        expect(await list({ label: { key: "team", value: "x" }, pool: "b" })).toEqual(
          wanted((row) => row.labels.team === "x" && row.pool === "b"),
        );
      }
      await expect(store.tasks({ limit: 1, cursor: "x" })).rejects.toBeInstanceOf(ProblemError);
    });

    test("follows a task to its new labels and name, and lets a deleted one go", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit({ op: "insertTask", row: task({ labels: { a: "1", b: "2" } }) });
      await leader.commit({ op: "updateTask", id: "t1", set: { labels: { a: "2" }, name: "daily" } });
      const count = async (filter: object) => (await store.tasks({ limit: 5, cursor: null, ...filter })).items.length;
      expect(await count({ label: { key: "a", value: "1" } })).toBe(0);
      expect(await count({ label: { key: "b", value: "2" } })).toBe(0);
      expect(await count({ label: { key: "a", value: "2" } })).toBe(1);
      expect(await count({ name: "nightly" })).toBe(0);
      expect(await count({ name: "daily" })).toBe(1);
      await leader.commit({ op: "updateTask", id: "t1", set: { deleted: true } });
      expect(await count({ label: { key: "a", value: "2" } })).toBe(0);
      expect(await count({ name: "daily" })).toBe(0);
      expect(await count({})).toBe(0);
    });
  });

  describe("the list of workers", () => {
    test("gives what each filter asks for, by id; labels of the API overlay the worker's own", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const rows = [
        worker({ id: "w1", state: "online", ownLabels: { zone: "a" } }),
        worker({ id: "w2", state: "online", ownLabels: { zone: "a" }, apiLabels: { zone: "b" } }),
        worker({ id: "w3", state: "lost", apiLabels: { zone: "a" }, pool: "b" }),
        worker({ id: "w4", state: "drained", ownLabels: { zone: "a" }, apiLabels: { zone: "a" } }),
        worker({ id: "W1", state: "online" }),
      ];
      await leader.commit(...rows.map((row): Change => ({ op: "insertWorker", row })));
      for (const limit of [1, 2, 100]) {
        const list = async (filter: object) =>
          (await allPages(limit, (cursor) => store.workers({ limit, cursor, ...filter }))).items.map((one) => one.id);
        expect(await list({})).toEqual(["W1", "w1", "w2", "w3", "w4"]);
        expect(await list({ pool })).toEqual(["W1", "w1", "w2", "w4"]);
        expect(await list({ states: ["online", "lost"] })).toEqual(["W1", "w1", "w2", "w3"]);
        expect(await list({ label: { key: "zone", value: "a" } })).toEqual(["w1", "w3", "w4"]);
        expect(await list({ label: { key: "zone", value: "b" } })).toEqual(["w2"]);
        expect(await list({ label: { key: "zone", value: "a" }, states: ["lost"], pool: "b" })).toEqual(["w3"]);
      }
      await leader.commit(
        { op: "updateWorker", id: "w2", set: { apiLabels: {} } },
        { op: "updateWorker", id: "w1", set: { ownLabels: { zone: "c" } } },
      );
      const after = await store.workers({ limit: 10, cursor: null, label: { key: "zone", value: "a" } });
      expect(after.items.map((one) => one.id)).toEqual(["w2", "w3", "w4"]);
      await expect(store.workers({ limit: 1, cursor: "x" })).rejects.toBeInstanceOf(ProblemError);
    });
  });
}
