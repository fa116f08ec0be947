/** What the core remembers of what is over: not more the longer it leads (promise 8). */
import { expect, test } from "vitest";
import type { Input } from "../../../manager/control/inputs.ts";
import { joined } from "./hand.ts";
import { asker, makeTask, openBench, start, startOf, type Bench } from "./kit.ts";

/** Well above what is alive in these tests, well below what passes through them. */
const bound = 5_000;

/** Starts runs and stops them again, `rounds` times `each`, while none of them can be placed. */
async function churn(bench: Bench, rounds: number, each: number, taskOf: (at: number) => string): Promise<void> {
  let made = 0;
  for (let round = 0; round < rounds; round += 1) {
    const items = Array.from({ length: each }, () => startOf(taskOf(made++)));
    await bench.batch({ kind: "request", ticket: 1, request: { kind: "startRuns", items, ...asker } });
    await bench.batch(
      ...items.map(({ runId }, at): Input => ({
        kind: "request",
        ticket: at,
        request: { kind: "stopRun", runId, graceSeconds: null, ...asker },
      })),
    );
  }
}

function placesInQueue({ state }: Bench): { readonly runs: number; readonly lines: number; readonly heads: number } {
  const { lines, ready } = state.queue;
  let runs = 0;
  for (const line of lines.values()) runs += line.runs.length;
  return { runs, lines: lines.size, heads: ready.keys.length };
}

test("runs that were stopped while they waited leave the queue, also behind one that waits on", async () => {
  const bench = await openBench();
  await joined(bench, "edge-1");
  const nowhere = await makeTask(bench, { constraints: ["label.zone == moon"] });
  await start(bench, nowhere);
  await churn(bench, 60, 250, () => nowhere);
  expect(bench.state.queue.queued).toBe(1);
  expect(placesInQueue(bench).runs).toBeLessThan(bound);
});

test.each(["nothing fits", "no slot is free"])("lines whose runs were all stopped leave the queue where %s", async (where) => {
  const bench = await openBench();
  await joined(bench, "edge-1", where === "nothing fits" ? {} : { capacity: { slots: 0, memoryMb: 1_000, cpus: 4 } });
  const constraints = where === "nothing fits" ? ["label.zone == moon"] : [];
  const tasks: string[] = [];
  for (let at = 0; at < 100; at += 1) tasks.push(await makeTask(bench, { constraints }));
  const first = await start(bench, tasks[0] ?? "");
  await churn(bench, 60, 250, (at) => tasks[at % tasks.length] ?? "");
  expect(bench.state.queue.queued).toBe(1);
  const places = placesInQueue(bench);
  expect(places.runs).toBeLessThan(bound);
  expect(places.lines).toBeLessThan(bound);
  expect(places.heads).toBeLessThan(bound);
  expect(bench.state.runs.has(first)).toBe(true);
});

test("a worker that is lost and comes back again and again leaves no timers behind", async () => {
  const bench = await openBench();
  const taskId = await makeTask(bench);
  // One that stays away: what was armed for its run comes before all that the other one leaves.
  await joined(bench, "edge-0");
  await start(bench, taskId);
  await bench.pass(80_000);
  const hand = await joined(bench, "edge-1", { capacity: { slots: 100, memoryMb: 1_000, cpus: 4 } });
  const items = Array.from({ length: 100 }, () => startOf(taskId));
  await bench.ask({ kind: "startRuns", items, ...asker });
  const attempts = [...(bench.state.workers.get("edge-1")?.attempts.keys() ?? [])];
  expect(attempts).toHaveLength(100);
  await hand.report(
    ...attempts.flatMap((attempt) => [hand.next(attempt, "accepted"), hand.next(attempt, "running", { pid: 7 })]),
  );
  for (let time = 0; time < 100; time += 1) {
    await bench.pass(80_000);
    expect(bench.state.workers.get("edge-1")?.row.state).toBe("lost");
    hand.connection += 1;
    await hand.join();
  }
  expect(bench.state.attempts.size).toBe(101);
  expect(bench.state.due.keys.length).toBeLessThan(bound);
});
