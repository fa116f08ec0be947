/** (f) Lists and single reads over a short and a long history. */
import { mariadbMissing } from "../../test/kit/mariadb.ts";
import { cpuForEach } from "../kit/cpu.ts";
import { mariadb, sqlite, type Database } from "../kit/database.ts";
import { median, type Measure } from "../kit/figure.ts";
import type { Plan, Section, Variant } from "../kit/section.ts";
import { System } from "../kit/system.ts";
import { cloneRuns } from "../lists/clone.ts";
import type { Reads } from "../load/process.ts";

const tasks = 20;
/** Runs that the system makes itself; the rest are copies of them. */
const made = 200;

function sizesOf(plan: Plan): readonly [number, number] {
  return plan.quick ? [1_000, 4_000] : [10_000, 2_000_000];
}

export const lists: Section = {
  letter: "f",
  title: "Lists and single reads",
  about: `Through HTTP, one request after the other, pages of 50 (the default): the median of 200 answers, with 10 thousand and with 2 million runs in
the database, of ${tasks} tasks on 10 workers. It is to stay flat. The history is made in SQL out of ${made} runs of the system itself, a fifth of them failed.`,
  optIn: true,
  async variants(plan) {
    const without = mariadbMissing();
    return sizesOf(plan).flatMap((size) => [variant(plan, sqlite(), size, undefined), variant(plan, mariadb(), size, without)]);
  },
};

function sizeText(size: number): string {
  return `${size.toLocaleString("en-US")} runs`;
}

function variant(plan: Plan, database: Database, size: number, missing: string | undefined): Variant {
  let filled: { readonly system: System; readonly asks: Readonly<Record<string, readonly string[]>> } | undefined;
  const name = `${database.name}, ${sizeText(size)}`;
  return {
    name,
    ...(missing === undefined ? {} : { missing }),
    async round() {
      filled ??= await fill(plan, database, size);
      const { system, asks } = filled;
      const { url, token } = system;
      const measures: Measure[] = [];
      const [small] = sizesOf(plan);
      for (const [what, paths] of Object.entries(asks)) {
        const ask = { url, token, paths } satisfies Partial<Reads>;
        const before = system.cpuMs();
        const took = await system.load.ask<number[]>("reads", { ...ask, count: plan.quick ? 20 : 200 });
        const { manager = 0, database: server } = cpuForEach(before, system.cpuMs(), took.length);
        const row = (runs: number): string => `${what}, ${database.name}, ${sizeText(runs)}`;
        measures.push({
          what: row(size),
          unit: "ms",
          better: "lower",
          value: median(took),
          cpu: { manager, ...(server === undefined ? {} : { database: server }) },
          ...(size === small ? {} : { peer: row(small), aim: { ratioAtMost: 1.5 } }),
        });
      }
      return measures;
    },
    async close() {
      await filled?.system.close();
      await database.close();
    },
  };
}

async function fill(
  plan: Plan,
  database: Database,
  size: number,
): Promise<{ system: System; asks: Record<string, readonly string[]> }> {
  const system = await System.start({ database, broker: "aedes" });
  try {
    await system.simulate(10, 10);
    const ids: string[] = [];
    for (let n = 0; n < tasks; n += 1) ids.push(await system.trueTask({ name: `bench-${n}`, params: { EXIT: "0" } }));
    const items = Array.from({ length: made }, (_, n) => ({
      taskId: ids[n % tasks],
      labels: { env: `e${Math.floor(n / tasks) % 5}` },
      params: { EXIT: n % 5 === 3 ? "1" : "0" },
    }));
    await system.call("POST", "/runs", { items });
    await system.manager.ready("the first runs to end", async () => (await system.tally()).acked === made);
    await system.manager.end("SIGTERM");
    plan.say(`(f) makes ${sizeText(size)} in ${database.name}`);
    await cloneRuns(database, size / made);
    const [{ n: found } = { n: 0 }] = await database.rows("SELECT COUNT(*) AS n FROM runs");
    if (Number(found) !== size) throw new Error(`there are ${found} runs and not ${size}`);
    // The workers were simulated for the first manager, and end with it.
    system.startManager();
    await system.managerReady();
    const asks = await asksOf(system, database, ids);
    // All of them before the first is measured: a manager that has just begun answers its first requests slowly, whatever they ask.
    const { url, token } = system;
    for (const paths of Object.values(asks))
      await system.load.ask<number[]>("reads", { url, token, paths, count: plan.quick ? 5 : 100 } satisfies Reads);
    return { system, asks };
  } catch (error) {
    await system.close();
    throw error;
  }
}

/** Every filter of the API, and what stands in the middle of the history rather than at its end. */
async function asksOf(system: System, database: Database, ids: readonly string[]): Promise<Record<string, readonly string[]>> {
  const [span] = await database.rows("SELECT MIN(created_at) AS a, MAX(created_at) AS b FROM runs");
  const [oldest, newest] = [Number(span?.["a"]), Number(span?.["b"])];
  const middle = new Date((oldest + newest) / 2).toISOString();
  const runs = (
    await database.rows(
      `SELECT id AS k FROM runs WHERE created_at >= ${Math.floor((oldest + newest) / 2)} ORDER BY created_at LIMIT 50`,
    )
  ).map((row) => String(row["k"]));
  const task = ids[7]!;
  const first = (await system.call("GET", `/runs?until=${middle}`)) as { next: string };
  const live = "queued,starting,running,stopping,retrying,unreachable";
  return {
    "GET /runs": ["/runs"],
    "GET /runs?cursor": [`/runs?until=${middle}&cursor=${encodeURIComponent(first.next)}`],
    "GET /runs?taskId": [`/runs?taskId=${task}`],
    "GET /runs?workerId": ["/runs?workerId=sim-3"],
    "GET /runs?state=failed": ["/runs?state=failed"],
    "GET /runs?state=queued,… (none)": [`/runs?state=${live}`],
    "GET /runs?label": ["/runs?label=env=e2"],
    "GET /runs?since&until": [`/runs?since=${new Date(oldest).toISOString()}&until=${middle}`],
    "GET /runs?taskId&state": [`/runs?taskId=${task}&state=failed,timedOut`],
    "GET /runs?taskId&workerId": [`/runs?taskId=${task}&workerId=sim-3`],
    "GET /runs?workerId&state&label": ["/runs?workerId=sim-3&state=succeeded&label=env=e2"],
    "GET /runs/{id}": runs.map((id) => `/runs/${id}`),
    "GET /tasks": ["/tasks"],
    "GET /tasks/{id}": [`/tasks/${task}`],
    "GET /workers": ["/workers"],
    "GET /events": ["/events"],
    "GET /events?runId": runs.map((id) => `/events?runId=${id}`),
    "GET /events?taskId": [`/events?taskId=${task}`],
    "GET /events?workerId": ["/events?workerId=sim-3"],
    "GET /events?kind": ["/events?kind=runEnded"],
  };
}
