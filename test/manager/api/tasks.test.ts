import { beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../schema/digest.ts";
import { taskInput, type TaskDefinition } from "../../../schema/task.ts";
import type { TaskView } from "../../../schema/task-view.ts";
import { fromStore } from "../../../manager/api/definition.ts";
import { createTask, tasksOf } from "./task-core.ts";
import { problemIn, refuse, rig, type Rig } from "./kit.ts";
import { runRow, taskOf } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
  r.plane.answer = tasksOf(r);
});

const create = (input = taskOf()): Promise<TaskView> => createTask(r, input);

describe("POST /tasks", () => {
  test("answers 201 with place, ETag and every default filled in", async () => {
    const response = await r.call("POST", "/tasks?reason=first", {
      body: taskOf({ name: "nightly", labels: { team: "search" } }),
    });
    expect(response.status).toBe(201);
    const task = (await response.json()) as TaskView;
    expect(response.headers.get("location")).toBe(`/tasks/${task.id}`);
    expect(response.headers.get("etag")).toBe('"1"');
    expect(task).toMatchObject({
      version: 1,
      name: "nightly",
      timeoutSeconds: null,
      killGraceSeconds: 10,
      onLost: "wait",
      by: "ana",
      byReason: "first",
      warnings: [],
      lastRun: null,
    });
    expect(task.scriptSha256).toBe(sha256Hex("echo hi"));
    expect(task.scriptSize).toBe(7);
  });

  test("names every wrong field, unknown keys too, with JSON pointers", async () => {
    const response = await r.call("POST", "/tasks", {
      body: {
        name: "a",
        nonsense: 1,
        run: { driver: "exec", program: 1, argv: [] },
        params: { "a-b": "x" },
        timeoutSeconds: "ten",
      },
    });
    expect(response.status).toBe(400);
    const { code, errors } = await problemIn(response);
    expect(code).toBe("malformed");
    expect(errors?.map(({ at }) => at).toSorted()).toEqual([
      "/nonsense",
      "/params/a-b",
      "/run/argv",
      "/run/program",
      "/timeoutSeconds",
    ]);
  });

  test("shows where a constraint is wrong", async () => {
    const response = await r.call("POST", "/tasks", { body: taskOf({ constraints: ["os=linux", "os ==="] }) });
    expect(response.status).toBe(422);
    const { errors } = await problemIn(response);
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.at).toBe("/constraints/1");
    expect(errors?.[0]?.message).toMatch(/^position \d+ of ".*": expected /);
    expect(r.plane.asked).toHaveLength(0);
  });

  test("warns of a retry that an outage of less than an hour would set off, and refuses one that is shorter than the loss of a worker", async () => {
    expect((await create(taskOf({ name: "short", onLost: "retry", lostAfterSeconds: 600 }))).warnings).toHaveLength(1);
    expect((await create(taskOf({ name: "long", onLost: "retry", lostAfterSeconds: 3_600 }))).warnings).toHaveLength(0);
    const response = await r.call("POST", "/tasks", { body: taskOf({ onLost: "retry", lostAfterSeconds: 10 }) });
    expect(response.status).toBe(422);
    expect((await problemIn(response)).errors?.[0]?.at).toBe("/lostAfterSeconds");
  });

  test("refuses a pool that nobody leads, and passes on a taken name", async () => {
    const foreign = await r.call("POST", "/tasks", { body: taskOf({ pool: "mars" }) });
    expect(foreign.status).toBe(422);
    r.plane.answer = () => {
      throw refuse("name-taken", "hello is taken");
    };
    const taken = await r.call("POST", "/tasks", { body: taskOf() });
    expect(taken.status).toBe(409);
    expect((await problemIn(taken)).code).toBe("name-taken");
  });

  test("keeps a large definition as a body, with nothing large in the row, and shows it whole again", async () => {
    const script = `# ${"x".repeat(40_000)}`;
    const task = await create(taskOf({ env: { A: "1" }, run: { driver: "script", interpreter: "sh", script, stdin: "in" } }));
    expect(task).toMatchObject({ env: { A: "1" }, scriptSize: script.length, scriptSha256: sha256Hex(script) });
    expect(task.run).toMatchObject({ script: null, stdin: "in" });
    const stored = await r.store.version(task.id, 1);
    expect(JSON.stringify(stored?.definition).length).toBeLessThan(2_000);
    expect(stored?.script).toEqual({ sha256: sha256Hex(script), size: script.length });
    const body = await r.store.getBody(stored?.body?.sha256 ?? "");
    expect(sha256Hex(body ?? "")).toBe(stored?.body?.sha256);
    expect(JSON.parse(Buffer.from(body ?? []).toString())).toMatchObject({ spec: { script, stdin: "in" }, env: { A: "1" } });
    const whole = stored ? await fromStore(r.store, stored) : undefined;
    expect(whole?.run).toMatchObject({ script });
    const shown = (await (await r.call("GET", `/tasks/${task.id}`)).json()) as TaskView;
    expect(shown.run).toMatchObject({ script: null, stdin: "in" });
    expect(shown.env).toEqual({ A: "1" });
  });
});

describe("GET /tasks", () => {
  test("pages with a Link header, filters, and shows no payloads", async () => {
    for (const name of ["a", "b", "c"]) await create(taskOf({ name, labels: { team: name === "b" ? "x=y" : "z" } }));
    const first = await r.call("GET", "/tasks?limit=2");
    const page = (await first.json()) as { items: Record<string, unknown>[]; next: string };
    expect(page.items).toHaveLength(2);
    expect(page.items[0]).not.toHaveProperty("run");
    const link = /^<([^>]+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1];
    expect(link).toContain("limit=2");
    const rest = (await (await r.call("GET", link ?? "")).json()) as { items: unknown[]; next: string | null };
    expect(rest.items).toHaveLength(1);
    expect(rest.next).toBeNull();
    const one = (await (await r.call("GET", "/tasks?label=team=x%3Dy&name=b&kind=batch&pool=default")).json()) as {
      items: { name: string }[];
    };
    expect(one.items.map(({ name }) => name)).toEqual(["b"]);
  });

  test.each([
    "/tasks?nonsense=1",
    "/tasks?limit=0",
    "/tasks?limit=201",
    "/tasks?limit=ten",
    "/tasks?limit=1&limit=2",
    "/tasks?label=x",
    "/tasks?kind=service",
    "/tasks?cursor=%00",
    "/tasks?__proto__=1",
  ])("%s is 400 and names the parameter", async (path) => {
    const response = await r.call("GET", path);
    expect(response.status).toBe(400);
    const { code, detail } = await problemIn(response);
    expect(code).toBe("malformed");
    expect(detail.length).toBeGreaterThan(10);
  });
});

describe("GET /tasks/{id}", () => {
  test("carries its last run and its version as ETag; unknown and deleted ones are 404, bad ids 400", async () => {
    const task = await create();
    await r.commit({ op: "insertRun", row: runRow({ id: "r9", taskId: task.id }) });
    const response = await r.call("GET", `/tasks/${task.id}`);
    expect(((await response.json()) as TaskView).lastRun).toMatchObject({ id: "r9", state: "queued", reason: "why r9 waits" });
    expect(response.headers.get("etag")).toBe('"1"');
    expect((await r.call("GET", "/tasks/none")).status).toBe(404);
    await r.commit({ op: "updateTask", id: task.id, set: { deleted: true } });
    expect((await r.call("GET", `/tasks/${task.id}`)).status).toBe(404);
    for (const id of ["a%2Fb", "a%2Bb", "a%23b", "a%20b", "a.b", "x".repeat(37), "%FF"])
      expect((await r.call("GET", `/tasks/${id}`)).status).toBe(400);
  });

  test("HEAD gives the headers alone", async () => {
    const task = await create();
    const head = await r.call("HEAD", `/tasks/${task.id}`);
    expect(head.status).toBe(200);
    expect(head.headers.get("etag")).toBe('"1"');
    expect(await head.text()).toBe("");
  });
});

test("DELETE passes on stop, reason and If-Match; live runs are 409", async () => {
  const response = await r.call("DELETE", "/tasks/t1?stop=true&reason=old", { headers: { "if-match": '"3"' } });
  expect(response.status).toBe(204);
  expect(r.plane.asked[0]?.request).toEqual({
    kind: "deleteTask",
    taskId: "t1",
    stop: true,
    ifMatch: 3,
    by: "ana",
    byReason: "old",
  });
  r.plane.answer = () => {
    throw refuse("live-runs", "2 live runs; add ?stop=true");
  };
  expect((await r.call("DELETE", "/tasks/t1")).status).toBe(409);
  expect((await r.call("DELETE", "/tasks/t1?stop=yes")).status).toBe(400);
});

test("POST /tasks/{id}/stop says how many runs were asked to stop", async () => {
  const response = await r.call("POST", "/tasks/t1/stop", { body: { graceSeconds: 2, reason: "bad data" } });
  expect(response.status).toBe(202);
  expect(await response.json()).toEqual({ runs: 3 });
  expect(r.plane.asked[0]?.request).toEqual({ kind: "stopTask", taskId: "t1", graceSeconds: 2, by: "ana", byReason: "bad data" });
  expect((await r.call("POST", "/tasks/t1/stop")).status).toBe(202);
});

test("what is shown can be parsed as a definition again", async () => {
  const task = await create(taskOf({ params: { city: "Brno" }, constraints: ["os=linux"] }));
  const fields = Object.keys(taskInput.shape);
  const again = taskInput.parse(
    Object.fromEntries(Object.entries(task).filter(([key]) => fields.includes(key))),
  ) satisfies TaskDefinition;
  expect(again.params).toEqual({ city: "Brno" });
});
