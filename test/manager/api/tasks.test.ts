import { beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../schema/digest.ts";
import { taskInput, type TaskDefinition } from "../../../schema/task.ts";
import type { TaskView } from "../../../schema/task-view.ts";
import { fromStore } from "../../../manager/api/definition.ts";
import type { Outcome } from "../../../manager/control/outputs.ts";
import { problemIn, refuse, rig, runRow, taskOf, taskRow, versionRow, type Rig } from "./kit.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
  // What the core does with a task, as far as these tests look at it.
  r.plane.answer = async (_, request): Promise<Outcome> => {
    switch (request.kind) {
      case "createTask":
      case "putTaskByName": {
        const { name, pool, labels } = request.store.definition;
        const known = await r.store.taskByName(pool, name);
        if (known) return { kind: "task", task: known, version: versionRow({ taskId: known.id, ...request.store }), created: false };
        const row = taskRow({ id: request.id, name, pool, labels });
        const version = versionRow({ taskId: request.id, ...request.store, by: request.by, byReason: request.byReason });
        await r.commit({ op: "insertTask", row }, { op: "insertVersion", row: version });
        return { kind: "task", task: row, version, created: true };
      }
      case "changeTask": {
        const now = await r.store.task(request.taskId);
        if (!now) throw refuse("not-found", "no task");
        if (request.expectedVersion !== null && request.expectedVersion !== now.version) throw refuse("version-changed", "changed");
        const row = { ...now, version: now.version + 1, name: request.store.definition.name };
        const version = versionRow({ taskId: now.id, version: row.version, ...request.store, by: request.by, byReason: request.byReason });
        await r.commit({ op: "updateTask", id: now.id, set: { version: row.version, name: row.name } }, { op: "insertVersion", row: version });
        return { kind: "task", task: row, version, created: false };
      }
      case "deleteTask":
        return { kind: "deleted" };
      case "stopTask":
        return { kind: "stopping", runs: 3 };
      default:
        throw new Error(`unexpected ${request.kind}`);
    }
  };
});

async function create(input = taskOf()): Promise<TaskView> {
  const response = await r.call("POST", "/tasks", { body: input });
  expect(response.status).toBe(201);
  return (await response.json()) as TaskView;
}

describe("POST /tasks", () => {
  test("answers 201 with place, ETag and every default filled in", async () => {
    const response = await r.call("POST", "/tasks?reason=first", { body: taskOf({ name: "nightly", labels: { team: "search" } }) });
    expect(response.status).toBe(201);
    const task = (await response.json()) as TaskView;
    expect(response.headers.get("location")).toBe(`/tasks/${task.id}`);
    expect(response.headers.get("etag")).toBe('"1"');
    expect(task).toMatchObject({ version: 1, name: "nightly", timeoutSeconds: null, killGraceSeconds: 10, onLost: "wait", by: "ana", byReason: "first", warnings: [], lastRun: null });
    expect(task.scriptSha256).toBe(sha256Hex("echo hi"));
    expect(task.scriptSize).toBe(7);
  });

  test("names every wrong field, unknown keys too, with JSON pointers", async () => {
    const response = await r.call("POST", "/tasks", {
      body: { name: "a", nonsense: 1, run: { driver: "exec", program: 1, argv: [] }, params: { "a-b": "x" }, timeoutSeconds: "ten" },
    });
    expect(response.status).toBe(400);
    const { code, errors } = await problemIn(response);
    expect(code).toBe("malformed");
    expect(errors?.map(({ at }) => at).toSorted()).toEqual(["/nonsense", "/params/a-b", "/run/argv", "/run/program", "/timeoutSeconds"]);
  });

  test("shows where a constraint is wrong", async () => {
    const response = await r.call("POST", "/tasks", { body: taskOf({ constraints: ["os=linux", "os ==="] }) });
    expect(response.status).toBe(422);
    const { errors } = await problemIn(response);
    expect(errors).toHaveLength(1);
    expect(errors?.[0]?.at).toBe("/constraints/1");
    expect(errors?.[0]?.message).toMatch(/^position \d+: /);
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
    const one = (await (await r.call("GET", "/tasks?label=team=x%3Dy&name=b&kind=batch&pool=default")).json()) as { items: { name: string }[] };
    expect(one.items.map(({ name }) => name)).toEqual(["b"]);
  });

  test.each(["/tasks?nonsense=1", "/tasks?limit=0", "/tasks?limit=201", "/tasks?limit=ten", "/tasks?limit=1&limit=2", "/tasks?label=x", "/tasks?kind=service", "/tasks?cursor=%00", "/tasks?__proto__=1"])(
    "%s is 400 and names the parameter",
    async (path) => {
      const response = await r.call("GET", path);
      expect(response.status).toBe(400);
      const { code, detail } = await problemIn(response);
      expect(code).toBe("malformed");
      expect(detail.length).toBeGreaterThan(10);
    },
  );
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
    for (const id of ["a%2Fb", "a%2Bb", "a%23b", "a%20b", "a.b", "x".repeat(37), "%FF"]) expect((await r.call("GET", `/tasks/${id}`)).status).toBe(400);
  });

  test("HEAD gives the headers alone", async () => {
    const task = await create();
    const head = await r.call("HEAD", `/tasks/${task.id}`);
    expect(head.status).toBe(200);
    expect(head.headers.get("etag")).toBe('"1"');
    expect(await head.text()).toBe("");
  });
});

describe("edits", () => {
  test("PUT replaces, keeps the pool, obeys If-Match", async () => {
    const task = await create(taskOf({ timeoutSeconds: 5 }));
    const response = await r.call("PUT", `/tasks/${task.id}`, { body: taskOf({ name: "other" }), headers: { "if-match": '"1"' } });
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe('"2"');
    expect(await response.json()).toMatchObject({ version: 2, name: "other", timeoutSeconds: null });
    const stale = await r.call("PUT", `/tasks/${task.id}`, { body: taskOf(), headers: { "if-match": '"1"' } });
    expect(stale.status).toBe(412);
    expect((await r.call("PUT", `/tasks/${task.id}`, { body: taskOf(), headers: { "if-match": "1" } })).status).toBe(400);
    expect((await r.call("PUT", `/tasks/${task.id}`, { body: taskOf(), headers: { "if-match": "*" } })).status).toBe(200);
    const moved = await r.call("PUT", `/tasks/${task.id}`, { body: taskOf({ pool: "mars" }) });
    expect(moved.status).toBe(422);
    expect((await r.call("PUT", "/tasks/none", { body: taskOf() })).status).toBe(404);
  });

  test("PATCH merges into the newest, null takes a field back to its default, and the whole is checked again", async () => {
    const task = await create(taskOf({ timeoutSeconds: 5, env: { A: "1", B: "2" }, retry: { attempts: 3 } }));
    const response = await r.call("PATCH", `/tasks/${task.id}`, {
      body: JSON.stringify({ timeoutSeconds: null, env: { B: null, C: "3" }, retry: { backoffSeconds: 1 } }),
      headers: { "content-type": "application/merge-patch+json" },
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ version: 2, timeoutSeconds: null, env: { A: "1", C: "3" }, retry: { attempts: 3, backoffSeconds: 1 } });
    const bad = await r.call("PATCH", `/tasks/${task.id}`, { body: { run: { script: null, program: "x" } } });
    expect(bad.status).toBe(400);
    expect((await problemIn(bad)).errors?.map(({ at }) => at)).toEqual(["/run/program"]);
  });

  test("PATCH begins anew when somebody else was first, but not against an If-Match", async () => {
    const task = await create();
    const inner = r.plane.answer;
    let overtakings = 2;
    r.plane.answer = async (pool, request) => {
      if (request.kind === "changeTask" && overtakings > 0) {
        overtakings -= 1;
        const now = await r.store.task(task.id);
        const version = (now?.version ?? 0) + 1;
        await r.commit(
          { op: "updateTask", id: task.id, set: { version } },
          { op: "insertVersion", row: versionRow({ taskId: task.id, version }, { env: { OTHER: String(version) } }) },
        );
      }
      return inner(pool, request);
    };
    const response = await r.call("PATCH", `/tasks/${task.id}`, { body: { env: { MINE: "1" } } });
    expect(await response.json()).toMatchObject({ version: 4, env: { OTHER: "3", MINE: "1" } });
    overtakings = 1;
    const guarded = await r.call("PATCH", `/tasks/${task.id}`, { body: { env: { MINE: "2" } }, headers: { "if-match": '"4"' } });
    expect(guarded.status).toBe(412);
  });

  test("PUT script takes the bytes exactly: text, bytes that are not UTF-8, nothing else than a script", async () => {
    const task = await create(taskOf({ run: { driver: "script", interpreter: "bash" } }));
    const bom = "\uFEFFecho ž\n";
    const text = await r.call("PUT", `/tasks/${task.id}/script`, { body: Buffer.from(bom), headers: { "content-type": "text/x-shellscript; charset=utf-8" } });
    expect(text.status).toBe(200);
    expect(await text.json()).toMatchObject({ version: 2, run: { script: bom, scriptBase64: null }, scriptSha256: sha256Hex(bom) });
    const bytes = Buffer.from([0x23, 0xff, 0xfe, 0x00, 0x0a]);
    const binary = await r.call("PUT", `/tasks/${task.id}/script`, { body: bytes, headers: { "content-type": "application/octet-stream" } });
    expect(await binary.json()).toMatchObject({ version: 3, run: { script: null, scriptBase64: bytes.toString("base64") }, scriptSize: 5, scriptSha256: sha256Hex(bytes) });
    expect((await r.call("PUT", `/tasks/${task.id}/script`, { body: "{}", headers: { "content-type": "application/json" } })).status).toBe(415);
    const exec = await create(taskOf({ name: "exec", run: { driver: "exec", program: "/bin/true" } }));
    expect((await r.call("PUT", `/tasks/${exec.id}/script`, { body: "x", headers: { "content-type": "text/plain" } })).status).toBe(422);
  });

  test("PUT script takes 10 MiB and no more", async () => {
    const task = await create(taskOf({ run: { driver: "script", interpreter: "bash" } }));
    const most = Buffer.alloc(10_485_760, 0x61);
    const headers = { "content-type": "application/octet-stream" };
    const fits = await r.call("PUT", `/tasks/${task.id}/script`, { body: most, headers });
    expect(fits.status).toBe(200);
    expect(await fits.json()).toMatchObject({ run: { script: null }, scriptSize: 10_485_760 });
    expect((await r.call("PUT", `/tasks/${task.id}/script`, { body: Buffer.alloc(10_485_761, 0x61), headers })).status).toBe(413);
  });

  test("PUT by-name creates, fills name and pool from the address, and refuses others", async () => {
    const { name: _, ...nameless } = taskOf();
    const response = await r.call("PUT", "/tasks/by-name/two%20words", { body: nameless });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ name: "two words", pool: "default" });
    expect(r.plane.asked[0]?.request).toMatchObject({ kind: "putTaskByName", ifMatch: null });
    const replaced = await r.call("PUT", "/tasks/by-name/two%20words", { body: nameless, headers: { "if-match": '"7"' } });
    expect(replaced.status).toBe(200);
    expect(r.plane.asked[1]?.request).toMatchObject({ ifMatch: 7 });
    const other = await r.call("PUT", "/tasks/by-name/x?pool=default", { body: taskOf({ name: "y" }) });
    expect((await problemIn(other)).errors?.[0]?.at).toBe("/name");
    expect((await r.call("PUT", "/tasks/by-name/x?pool=mars", { body: nameless })).status).toBe(422);
    expect((await r.call("PUT", "/tasks/by-name/script", { body: nameless })).status).toBe(201);
  });
});

test("DELETE passes on stop, reason and If-Match; live runs are 409", async () => {
  const response = await r.call("DELETE", "/tasks/t1?stop=true&reason=old", { headers: { "if-match": '"3"' } });
  expect(response.status).toBe(204);
  expect(r.plane.asked[0]?.request).toEqual({ kind: "deleteTask", taskId: "t1", stop: true, ifMatch: 3, by: "ana", byReason: "old" });
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
  const again = taskInput.parse(Object.fromEntries(Object.entries(task).filter(([key]) => fields.includes(key)))) satisfies TaskDefinition;
  expect(again.params).toEqual({ city: "Brno" });
});
