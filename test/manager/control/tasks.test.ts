import { expect, test } from "vitest";
import { taskInput, type TaskInput } from "../../../schema/task.ts";
import type { DefinitionToStore } from "../../../manager/control/inputs.ts";
import { joined } from "./hand.ts";
import { asker, attemptOf, itemsOf, makeTask, openBench, optionsWith, start, startOf, type Bench } from "./kit.ts";

function stored(input: Partial<TaskInput> & { name: string }): DefinitionToStore {
  return { definition: taskInput.parse({ run: { driver: "exec", program: "/bin/true" }, ...input }), body: null, script: null };
}

const create = (bench: Bench, id: string, input: Partial<TaskInput> & { name: string }) =>
  bench.ask({ kind: "createTask", id, store: stored(input), ...asker });
const change = (bench: Bench, taskId: string, input: Partial<TaskInput> & { name: string }, expectedVersion: number | null) =>
  bench.ask({ kind: "changeTask", taskId, store: stored(input), expectedVersion, ...asker });

test("names are unique among the tasks that are not deleted, also within one batch", async () => {
  const bench = await openBench();
  expect((await create(bench, "t1", { name: "x" })).outcome).toMatchObject({ kind: "task", created: true, task: { version: 1 } });
  expect((await create(bench, "t2", { name: "x" })).code).toBe("name-taken");
  const both = await bench.batch(
    { kind: "request", ticket: 91, request: { kind: "createTask", id: "t3", store: stored({ name: "y" }), ...asker } },
    { kind: "request", ticket: 92, request: { kind: "createTask", id: "t4", store: stored({ name: "y" }), ...asker } },
    { kind: "request", ticket: 93, request: { kind: "deleteTask", taskId: "t3", stop: false, ifMatch: null, ...asker } },
    { kind: "request", ticket: 94, request: { kind: "createTask", id: "t5", store: stored({ name: "y" }), ...asker } },
  );
  expect([91, 92, 93, 94].map((ticket) => both.answers.get(ticket)?.kind)).toEqual(["task", "problem", "deleted", "task"]);
  expect((await bench.store.taskByName("default", "y"))?.id).toBe("t5");
});

test("a change makes a version, runs keep theirs, and If-Match guards it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", { capacity: { slots: 1, memoryMb: 0, cpus: 0 } });
  await create(bench, "t", { name: "x", params: { p: "1" } });
  const first = await start(bench, "t");
  const second = await start(bench, "t");
  expect((await change(bench, "t", { name: "x2", params: { q: "2" } }, 7)).code).toBe("version-changed");
  expect((await change(bench, "t", { name: "x2", params: { q: "2" } }, 1)).outcome).toMatchObject({
    task: { version: 2, name: "x2" },
    created: false,
  });
  expect((await bench.ask({ kind: "startRun", item: startOf("t", { params: { p: "9" } }), ...asker })).code).toBe("impossible");
  const said = await a.finish((await attemptOf(bench, first)).id);
  expect(itemsOf(said, "start")).toMatchObject([{ run: second, version: 1, env: { PARAM_p: "1" } }]);
  expect((await create(bench, "u", { name: "x" })).code).toBeNull();
});

test("put by name makes and replaces", async () => {
  const bench = await openBench();
  const put = (id: string, ifMatch: number | null) =>
    bench.ask({ kind: "putTaskByName", id, store: stored({ name: "x" }), ifMatch, ...asker });
  expect((await put("t1", 3)).code).toBe("version-changed");
  expect((await put("t1", null)).outcome).toMatchObject({ created: true, task: { id: "t1" } });
  expect((await put("t2", null)).outcome).toMatchObject({ created: false, task: { id: "t1", version: 2 } });
  expect((await put("t3", 1)).code).toBe("version-changed");
  expect((await put("t3", 2)).outcome).toMatchObject({ task: { id: "t1", version: 3 } });
});

test("a constraint that cannot be read is refused with its place", async () => {
  const bench = await openBench();
  const said = await create(bench, "t", { name: "x", constraints: ["os=linux", "label.zone inn (a)"] });
  expect(said.outcome).toMatchObject({ problem: { code: "impossible", errors: [{ at: "/constraints/1" }] } });
  expect(await bench.store.task("t")).toBeNull();
});

test("another pool's task is not of this one", async () => {
  const bench = await openBench();
  expect((await create(bench, "t", { name: "x", pool: "other" })).code).toBe("impossible");
});

test("delete refuses while runs live, and with stop ends them", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", { capacity: { slots: 1, memoryMb: 0, cpus: 0 } });
  await create(bench, "t", { name: "x" });
  const running = await start(bench, "t");
  const queued = await start(bench, "t");
  const remove = (stop: boolean, ifMatch: number | null = null) =>
    bench.ask({ kind: "deleteTask", taskId: "t", stop, ifMatch, ...asker });
  expect((await remove(false)).code).toBe("live-runs");
  expect((await remove(true, 5)).code).toBe("version-changed");
  const said = await remove(true);
  expect(said.outcome).toEqual({ kind: "deleted" });
  expect((await bench.run(queued)).state).toBe("stopped");
  const attempt = (await attemptOf(bench, running)).id;
  expect((await bench.run(running)).state).toBe("stopping");
  await a.report(a.next(attempt, "end", { end: { how: "stopped", by: "ana" } }));
  expect((await bench.run(running)).state).toBe("stopped");
  expect((await remove(true)).code).toBe("not-found");
  expect((await bench.ask({ kind: "startRun", item: startOf("t"), ...asker })).code).toBe("not-found");
  expect((await create(bench, "t2", { name: "x" })).code).toBeNull();
});

test("stopping a task stops every run of it, also those that only the store has", async () => {
  const bench = await openBench(optionsWith({ limits: { queueWindow: 20 } }));
  const a = await joined(bench, "a", { capacity: { slots: 3, memoryMb: 0, cpus: 0 } });
  const task = await makeTask(bench);
  const other = await makeTask(bench);
  const ids: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    const items = Array.from({ length: 900 }, () => startOf(task));
    ids.push(...items.map((item) => item.runId));
    await bench.ask({ kind: "startRuns", items, ...asker });
  }
  const kept = await start(bench, other);
  const said = await bench.ask({ kind: "stopTask", taskId: task, graceSeconds: null, ...asker });
  expect(said.outcome).toEqual({ kind: "stopping", runs: 2_700 });
  const states = new Map<string, number>();
  for (const id of ids) {
    const { state } = await bench.run(id);
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  expect(Object.fromEntries(states)).toEqual({ stopped: 2_697, stopping: 3 });
  for (const attempt of Array.from(bench.state.attempts.keys()))
    await a.report(a.next(attempt, "end", { end: { how: "stopped", by: "ana" } }));
  await bench.pass(1_000);
  expect((await attemptOf(bench, kept)).workerId).toBe("a");
  expect(bench.state.queue.queued).toBe(0);
});
