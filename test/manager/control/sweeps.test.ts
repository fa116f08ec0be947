/** Stopping a task with more waiting runs than memory holds. */
import { expect, test } from "vitest";
import { managerLimits } from "../../../schema/limits.ts";
import { asker, makeTask, openBench, optionsWith, pool, startOf, type Bench } from "./kit.ts";

/** A page for the window is then as long as what a stop reads: the same runs, seen twice. */
const queueWindow = 2 * managerLimits.readsPerBatch;
const waiting = 2 * queueWindow + managerLimits.readsPerBatch + 300;

async function poolWithQueue(): Promise<{ readonly bench: Bench; readonly taskId: string }> {
  const bench = await openBench(optionsWith({ limits: { queueWindow } }));
  const taskId = await makeTask(bench);
  for (let made = 0; made < waiting; made += 500) {
    const items = Array.from({ length: Math.min(500, waiting - made) }, () => startOf(taskId));
    await bench.ask({ kind: "startRuns", items, ...asker });
  }
  return { bench, taskId };
}

/** Runs of the pool by state, as the store has them. */
async function states(bench: Bench): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
    const page = await bench.store.runs({ pool, limit: 200, cursor });
    for (const run of page.items) counts[run.state] = (counts[run.state] ?? 0) + 1;
    cursor = page.next;
  }
  return counts;
}

test.each(["the leader that took them", "a new leader"])("%s stops every one of them before it answers", async (who) => {
  const { bench, taskId } = await poolWithQueue();
  if (who === "a new leader") await bench.takeOver();
  const said = await bench.ask({ kind: "stopTask", taskId, graceSeconds: null, ...asker });
  expect(said.outcome).toEqual({ kind: "stopping", runs: waiting });
  expect(await states(bench)).toEqual({ stopped: waiting });
  expect(bench.state.queue.queued).toBe(0);
});

test("a task is deleted only when none of its runs waits any more", async () => {
  const { bench, taskId } = await poolWithQueue();
  await bench.takeOver();
  const said = await bench.ask({ kind: "deleteTask", taskId, stop: true, ifMatch: null, ...asker });
  expect(said.outcome).toEqual({ kind: "deleted" });
  expect(await states(bench)).toEqual({ stopped: waiting });
});
