import { expect, test } from "vitest";
import leastLoaded from "../../../manager/control/placement/least-loaded.ts";
import twoChoices from "../../../manager/control/placement/two-choices.ts";
import type { Placement } from "../../../manager/control/placement/placement.ts";
import { needsOf } from "../../../manager/control/needs.ts";
import { alarms, figures } from "../../../manager/control/view.ts";
import { taskInput } from "../../../schema/task.ts";
import { joined, type Hand } from "./hand.ts";
import { asker, attemptOf, itemsOf, makeTask, openBench, optionsWith, reasonNow, start, startOf, type Bench } from "./kit.ts";

async function counts(bench: Bench): Promise<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const worker of bench.state.workers.values()) all[worker.row.id] = worker.attempts.size;
  return all;
}

async function startMany(bench: Bench, task: string, count: number): Promise<string[]> {
  const items = Array.from({ length: count }, () => startOf(task));
  await bench.ask({ kind: "startRuns", items, ...asker });
  return items.map((item) => item.runId);
}

const slots = (count: number) => ({ capacity: { slots: count, memoryMb: 1_000, cpus: 4 } });

test("round robin: 300 runs over 3 workers of 100 slots are 100 each", async () => {
  const bench = await openBench();
  for (const id of ["a", "b", "c"]) await joined(bench, id, slots(100));
  await startMany(bench, await makeTask(bench), 300);
  expect(await counts(bench)).toEqual({ a: 100, b: 100, c: 100 });
});

test.each([
  ["least loaded", leastLoaded, 1],
  ["two choices", twoChoices, 12],
] as const)("%s spreads 150 runs over 3 workers nearly evenly", async (_name, make, within) => {
  const bench = await openBench(optionsWith({ placement: make() }));
  for (const id of ["a", "b", "c"]) await joined(bench, id, slots(100));
  await startMany(bench, await makeTask(bench), 150);
  for (const count of Object.values(await counts(bench))) expect(Math.abs(count - 50)).toBeLessThanOrEqual(within);
});

test("credits: a full worker gets nothing more, unless its slots come free fast, and then the prefetch", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", slots(3));
  await startMany(bench, await makeTask(bench), 40);
  expect(await counts(bench)).toEqual({ a: 3 });
  let most = 0;
  for (let i = 0; i < 20; i += 1) {
    await bench.pass(10);
    await a.finish([...bench.state.attempts.keys()][0] as string);
    most = Math.max(most, bench.state.attempts.size);
  }
  expect(most).toBe(5);
});

test("memory and cpus are never overdrawn, and the reason says what is short", async () => {
  const bench = await openBench();
  await joined(bench, "a", { capacity: { slots: 10, memoryMb: 100, cpus: 2 } });
  const task = await makeTask(bench, { requires: { slots: 1, memoryMb: 60, cpus: 0.5 } });
  await start(bench, task);
  const waits = await start(bench, task);
  expect(reasonNow(bench, waits)).toBe("1 worker: 1 has too little free memory");
  const huge = await start(bench, await makeTask(bench, { requires: { slots: 20 } }));
  expect(reasonNow(bench, huge)).toBe("1 worker: 1 has only 10 slots");
});

test("a run that needs no slot goes to a full worker", async () => {
  const bench = await openBench();
  await joined(bench, "a", slots(1));
  await start(bench, await makeTask(bench));
  await start(bench, await makeTask(bench));
  const light = await start(bench, await makeTask(bench, { requires: { slots: 0 } }));
  expect((await bench.run(light)).state).toBe("starting");
});

test("a blocked head never blocks those that fit, and goes first once it fits", async () => {
  const bench = await openBench();
  await joined(bench, "a", { ...slots(2), labels: { disk: "hdd" } });
  const picky = await start(bench, await makeTask(bench, { constraints: ["label.disk=ssd"] }));
  const easy = await start(bench, await makeTask(bench));
  expect((await bench.run(easy)).state).toBe("starting");
  expect(reasonNow(bench, picky)).toBe("1 worker: 1 has label disk=hdd (wanted: label.disk=ssd)");
  await bench.ask({ kind: "labelWorker", workerId: "a", labels: { disk: "ssd" }, ...asker });
  expect((await bench.run(picky)).state).toBe("starting");
});

test("the reason counts workers by what keeps them", async () => {
  const bench = await openBench();
  await joined(bench, "a", { labels: { zone: "x" } });
  await joined(bench, "b");
  await joined(bench, "c");
  await bench.ask({ kind: "drainWorker", workerId: "a", on: true, ...asker });
  const run = await start(bench, await makeTask(bench, { constraints: ["label.zone in (x,y)"] }));
  expect(reasonNow(bench, run)).toBe("3 workers: 2 lack label zone, 1 is draining");
});

test("the reason speaks of several workers as of several", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  await joined(bench, "b");
  await bench.takeOver();
  const run = await start(bench, await makeTask(bench));
  expect(reasonNow(bench, run)).toBe("2 workers: 2 have not introduced themselves yet");
});

test("drivers, interpreters and large bodies are placement reasons, not failures", async () => {
  const bench = await openBench();
  await joined(bench, "a", { http: false, facts: { drivers: ["exec", "script"], interpreters: { sh: "1" } } });
  const perl = await start(bench, await makeTask(bench, { run: { driver: "script", interpreter: "perl", script: "1" } }));
  expect(reasonNow(bench, perl)).toBe("1 worker: 1 lacks interpreter perl");
  const other = await start(bench, await makeTask(bench, { run: { driver: "ssh" } }));
  expect(reasonNow(bench, other)).toBe("1 worker: 1 lacks driver ssh");
  const definition = taskInput.parse({
    name: "large",
    run: { driver: "script", interpreter: "sh", script: null },
    env: { A: "1" },
  });
  const body = { sha256: "c".repeat(64), size: 90_000 };
  await bench.ask({ kind: "createTask", id: "large", store: { definition, body, script: body }, ...asker });
  const large = await start(bench, "large");
  expect(reasonNow(bench, large)).toBe("1 worker: 1 cannot fetch the large body over HTTP");
  const b = await joined(bench, "b");
  await bench.pass(1_000);
  const attempt = await attemptOf(bench, large);
  expect(attempt.workerId).toBe("b");
  const again = await bench.pass(3_000, () => b.beat());
  const [item] = itemsOf(again, "start").filter((each) => each.run === large);
  expect(item?.spec).toBeUndefined();
  expect(item?.body).toEqual({
    path: `/bodies/${body.sha256}`,
    ...body,
    ticket: `get.b.${attempt.id}.${body.sha256}.signed-${`get\nb\n${attempt.id}\n${body.sha256}`.length}`,
  });
  expect(item?.env).not.toHaveProperty("A");
  expect(item?.resultTicket).toMatch(/^put\.b\./);
});

test("a start that names its worker goes there or waits for it", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  const b = await joined(bench, "b", slots(1));
  const task = await makeTask(bench);
  const first = await start(bench, task, { workerId: "b" });
  const second = await start(bench, task, { workerId: "b" });
  expect((await attemptOf(bench, first)).workerId).toBe("b");
  expect(reasonNow(bench, second)).toBe("worker b, which was asked for, is full");
  await b.finish((await attemptOf(bench, first)).id);
  expect((await attemptOf(bench, second)).workerId).toBe("b");
  // One end just now does not make it a worker whose slots come free all the time.
  expect((await bench.run(await start(bench, task, { workerId: "b" }))).state).toBe("queued");
});

test("a run that comes back to the queue takes its old place", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", slots(1));
  const [first, second, third] = (await startMany(bench, await makeTask(bench), 3)) as [string, string, string];
  await bench.pass(100);
  a.restart();
  await a.join();
  expect((await bench.run(second)).state).toBe("starting");
  await bench.pass(300);
  await a.finish((await attemptOf(bench, second)).id);
  expect((await bench.run(first)).state).toBe("starting");
  expect((await bench.run(third)).state).toBe("queued");
});

test("a worker that refuses everything rests, and the queue is not burnt on it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  await startMany(bench, await makeTask(bench), 200);
  let refused = 0;
  await bench.pass(5_000, async () => {
    const live = [...bench.state.attempts.keys()];
    refused += live.length;
    return live.length > 0
      ? await a.report(...live.map((attempt) => a.next(attempt, "end", { end: { how: "refused", why: "disk full" } })))
      : undefined;
  });
  expect(refused).toBeLessThan(60);
  const [run] = (await bench.store.runs({ limit: 1, cursor: null })).items;
  expect(reasonNow(bench, run?.id as string)).toContain("disk full");
});

test("starts that a worker refuses together cost it a second, not a minute; that it goes on to refuse, more each time", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", slots(30));
  await startMany(bench, await makeTask(bench), 200);
  const refuseAll = async (): Promise<number> => {
    const live = [...bench.state.attempts.keys()];
    await a.report(...live.map((attempt) => a.next(attempt, "end", { end: { how: "refused", why: "stale" } })));
    return live.length;
  };
  const restedMs: number[] = [];
  for (let wave = 0; wave < 4; wave += 1) {
    expect(await refuseAll()).toBeGreaterThanOrEqual(30);
    const since = bench.now.mono;
    while (bench.state.attempts.size === 0) await bench.pass(100);
    restedMs.push(bench.now.mono - since);
  }
  expect(restedMs).toEqual([1_000, 2_000, 4_000, 8_000]);
});

test("a placement that throws, or names a worker that does not fit, stops nothing", async () => {
  let mode: "throw" | "wrong" | "right" = "throw";
  const placement: Placement = {
    choose(_run, open, fits) {
      if (mode === "throw") throw new Error("third party");
      return mode === "wrong"
        ? { ...open.at(0), id: "nobody" }
        : Array.from({ length: open.size }, (_, i) => open.at(i)).find(fits);
    },
  };
  const bench = await openBench(optionsWith({ placement }));
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  expect(alarms(bench.state, bench.now)).toMatchObject([{ kind: "placement", sentence: "the placement failed: third party" }]);
  mode = "wrong";
  a.connection += 1;
  await a.join();
  expect((await bench.run(run)).state).toBe("queued");
  mode = "right";
  a.connection += 1;
  await a.join();
  expect((await bench.run(run)).state).toBe("starting");
});

async function drainQueue(bench: Bench, hands: readonly Hand[]): Promise<string[]> {
  const order: string[] = [];
  for (let i = 0; i < 2_000 && figures(bench.state).liveRuns > 0; i += 1) {
    for (const hand of hands) {
      for (const attempt of Array.from(bench.state.workers.get(hand.id)?.attempts.values() ?? [])) {
        order.push(attempt.row.runId);
        await hand.finish(attempt.row.id);
      }
    }
    await bench.pass(300);
  }
  return order;
}

test("a queue much longer than the window drains oldest first, and nothing is left behind", async () => {
  const bench = await openBench(optionsWith({ limits: { queueWindow: 20 } }));
  const task = await makeTask(bench);
  const ids = await startMany(bench, task, 500);
  expect(bench.state.runs.size).toBeLessThanOrEqual(20);
  expect(figures(bench.state)).toMatchObject({ queued: 500, liveRuns: 500 });
  const a = await joined(bench, "a", slots(5));
  const order = await drainQueue(bench, [a]);
  expect(order).toEqual(ids);
  expect(figures(bench.state)).toMatchObject({ queued: 0, liveRuns: 0 });
});

test("a new leader finds the whole queue, without reading more than its window", async () => {
  const bench = await openBench(optionsWith({ limits: { queueWindow: 20 } }));
  const ids = await startMany(bench, await makeTask(bench), 100);
  await bench.takeOver();
  await bench.pass(1_000);
  expect(bench.state.runs.size).toBeLessThanOrEqual(20);
  const a = await joined(bench, "a", slots(5));
  expect((await drainQueue(bench, [a])).toSorted()).toEqual(ids.toSorted());
});

test("a window full of runs that fit nowhere moves on, so that nobody starves", async () => {
  const bench = await openBench(optionsWith({ limits: { queueWindow: 20 } }));
  const a = await joined(bench, "a");
  const stuck = await startMany(bench, await makeTask(bench, { constraints: ["os=plan9"] }), 100);
  const fits = await start(bench, await makeTask(bench));
  await bench.pass(10_000, () => a.beat());
  expect((await bench.run(fits)).state).toBe("starting");
  expect((await bench.run(stuck[0] as string)).state).toBe("queued");
});

test("with every slot taken a batch looks at no line of the queue and reads nothing", async () => {
  const bench = await openBench();
  await joined(bench, "a", slots(1));
  for (let i = 0; i < 50; i += 1) await start(bench, await makeTask(bench));
  expect(needsOf(bench.state, { kind: "place" })).toEqual([]);
  let asked = 0;
  const { placement } = bench.state.options;
  const choose = placement.choose.bind(placement);
  placement.choose = (...all) => {
    asked += 1;
    return choose(...all);
  };
  await bench.batch({ kind: "tick" });
  expect(asked).toBe(0);
});
