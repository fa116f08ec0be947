import { expect, test } from "vitest";
import { requestLimits } from "../../../schema/limits.ts";
import { needsOf } from "../../../manager/control/needs.ts";
import { joined } from "./hand.ts";
import { asker, attemptOf, makeTask, openBench, optionsWith, start, startOf } from "./kit.ts";

test("only declared parameters, only known workers, only tasks that are there", async () => {
  const bench = await openBench();
  const task = await makeTask(bench, { params: { city: "Brno", n: "1" } });
  const ask = (more: Parameters<typeof startOf>[1]) => bench.ask({ kind: "startRun", item: startOf(task, more), ...asker });
  const wrong = await ask({ params: { town: "x", constructor: "y" } });
  expect(wrong.code).toBe("impossible");
  expect(wrong.detail).toBe("the task declares no parameter town, constructor; it declares city, n");
  expect(await ask({ workerId: "nobody" })).toMatchObject({ code: "impossible" });
  expect((await bench.ask({ kind: "startRun", item: startOf("nothing"), ...asker })).code).toBe("not-found");
  expect((await ask({ params: { city: "" } })).code).toBeNull();
});

test("a repeated key gives the same run, in the same batch, later, and under a new leader; another body is refused", async () => {
  const bench = await openBench();
  const task = await makeTask(bench);
  const item = startOf(task, { idempotencyKey: "k", bodyHash: "one" });
  const again = { ...item, runId: "another" };
  const request = (ticket: number, of: typeof item) =>
    ({ kind: "request", ticket, request: { kind: "startRun", item: of, ...asker } }) as const;
  const said = await bench.batch(request(81, item), request(82, again), request(83, { ...again, bodyHash: "two" }));
  expect(said.answers.get(81)).toMatchObject({ repeated: false, run: { id: item.runId } });
  expect(said.answers.get(82)).toMatchObject({ repeated: true, run: { id: item.runId } });
  expect(said.answers.get(83)).toMatchObject({ problem: { code: "key-reused" } });
  await bench.takeOver();
  expect((await bench.ask({ kind: "startRun", item: again, ...asker })).outcome).toMatchObject({
    repeated: true,
    run: { id: item.runId },
  });
  expect((await bench.ask({ kind: "startRun", item: { ...again, idempotencyKey: "other" }, ...asker })).outcome).toMatchObject({
    repeated: false,
  });
});

test("a key is its task's: another task's start with the same one makes a run of its own, also under a new leader", async () => {
  const bench = await openBench();
  const [one, other] = [await makeTask(bench), await makeTask(bench)];
  const first = startOf(one, { idempotencyKey: "k", bodyHash: "same" });
  const second = startOf(other, { idempotencyKey: "k", bodyHash: "same" });
  const ask = async (item: typeof first) => (await bench.ask({ kind: "startRun", item, ...asker })).outcome;
  expect(await ask(first)).toMatchObject({ repeated: false, run: { id: first.runId, taskId: one } });
  expect(await ask(second)).toMatchObject({ repeated: false, run: { id: second.runId, taskId: other } });
  await bench.takeOver();
  expect(await ask({ ...second, runId: "another" })).toMatchObject({ repeated: true, run: { id: second.runId } });
});

test("a request of unknown outcome, repeated, makes one run", async () => {
  const bench = await openBench();
  const task = await makeTask(bench);
  const item = startOf(task);
  await bench.ask({ kind: "startRun", item, ...asker });
  await bench.takeOver();
  expect((await bench.ask({ kind: "startRun", item: { ...item, mayExist: true }, ...asker })).outcome).toMatchObject({
    repeated: true,
    run: { id: item.runId },
  });
  const fresh = startOf(task, { mayExist: true });
  expect((await bench.ask({ kind: "startRun", item: fresh, ...asker })).outcome).toMatchObject({
    repeated: false,
    run: { id: fresh.runId },
  });
  const other = await makeTask(bench);
  expect((await bench.ask({ kind: "startRun", item: { ...item, taskId: other, mayExist: true }, ...asker })).code).toBe(
    "key-reused",
  );
});

test("many starts succeed and fail one by one", async () => {
  const bench = await openBench();
  const task = await makeTask(bench);
  const said = await bench.ask({
    kind: "startRuns",
    items: [startOf(task), startOf("none"), startOf(task, { params: { x: "1" } }), startOf(task)],
    ...asker,
  });
  expect(said.outcome).toMatchObject({
    kind: "runs",
    items: [
      { ok: true },
      { ok: false, problem: { code: "not-found" } },
      { ok: false, problem: { code: "impossible" } },
      { ok: true },
    ],
  });
});

test("the bound on waiting runs answers 429, and gives room again", async () => {
  const bench = await openBench(optionsWith({ limits: { waitingRuns: 2 } }));
  const task = await makeTask(bench);
  const first = await start(bench, task);
  await start(bench, task);
  expect((await bench.ask({ kind: "startRun", item: startOf(task), ...asker })).outcome).toMatchObject({
    problem: { code: "too-many", retryAfterSeconds: 5 },
  });
  await bench.ask({ kind: "stopRun", runId: first, graceSeconds: null, ...asker });
  await start(bench, task);
});

test("rerun: a new run of the same version with the same parameters", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench, { params: { p: "1" } });
  const run = await start(bench, task, { params: { p: "2" }, labels: { l: "x" } });
  await a.finish((await attemptOf(bench, run)).id);
  await bench.takeOver();
  const said = await bench.ask({
    kind: "rerun",
    of: run,
    runId: "again",
    idempotencyKey: "k",
    bodyHash: "h",
    trace: "t",
    ...asker,
  });
  expect(said.outcome).toMatchObject({
    run: { id: "again", rerunOf: run, params: { p: "2" }, labels: { l: "x" }, taskVersion: 1, state: "queued" },
  });
  const repeated = await bench.ask({
    kind: "rerun",
    of: run,
    runId: "third",
    idempotencyKey: "k",
    bodyHash: "h",
    trace: "t",
    ...asker,
  });
  expect(repeated.outcome).toMatchObject({ repeated: true, run: { id: "again" } });
  expect(
    (await bench.ask({ kind: "rerun", of: "none", runId: "x", idempotencyKey: null, bodyHash: "h", trace: "t", ...asker })).code,
  ).toBe("not-found");
});

test("a start of a cached task without a key reads nothing", async () => {
  const bench = await openBench();
  const task = await makeTask(bench);
  expect(
    needsOf(bench.state, { kind: "request", ticket: 1, request: { kind: "startRun", item: startOf(task), ...asker } }),
  ).toEqual([]);
});

test("parameters that do not fit a message are refused, not sent", async () => {
  const bench = await openBench();
  const task = await makeTask(bench, {
    params: { p: "" },
    run: { driver: "exec", program: "/bin/true", args: ["x".repeat(30_000)] },
  });
  const big = "\u0001".repeat(requestLimits.paramsBytes - 10);
  const said = await bench.ask({ kind: "startRun", item: startOf(task, { params: { p: big } }), ...asker });
  expect(said.code).toBe("impossible");
  expect(said.detail).toMatch(/takes \d+ bytes/);
  expect(
    (await bench.ask({ kind: "startRun", item: startOf(task, { params: { p: "y".repeat(15_000) } }), ...asker })).code,
  ).toBeNull();
});

test("old idempotency keys are forgotten once a minute", async () => {
  const bench = await openBench();
  const task = await makeTask(bench);
  await start(bench, task, { idempotencyKey: "k" });
  bench.now.wall += requestLimits.idempotencyKeptMs;
  await bench.pass(61_000);
  await bench.takeOver();
  const item = startOf(task, { idempotencyKey: "k" });
  expect((await bench.ask({ kind: "startRun", item, ...asker })).outcome).toMatchObject({ repeated: false });
});

test("a script task without its script cannot be started, and says how to give it one", async () => {
  const bench = await openBench();
  const id = await makeTask(bench, { name: "later", run: { driver: "script", interpreter: "sh" } });
  const said = await bench.ask({ kind: "startRun", item: startOf(id), ...asker });
  expect(said.code).toBe("impossible");
  expect(said.detail).toMatch(/PUT \/tasks\/.*\/script/);
});
