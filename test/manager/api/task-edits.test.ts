import { beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../schema/digest.ts";
import type { TaskView } from "../../../schema/task-view.ts";
import { problemIn, rig, type Rig } from "./kit.ts";
import { taskOf, versionRow } from "./rows.ts";
import { createTask, tasksOf } from "./task-core.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
  r.plane.answer = tasksOf(r);
});

const create = (input = taskOf()): Promise<TaskView> => createTask(r, input);

describe("edits", () => {
  test("PUT replaces, keeps the pool, obeys If-Match", async () => {
    const task = await create(taskOf({ timeoutSeconds: 5 }));
    const response = await r.call("PUT", `/tasks/${task.id}`, {
      body: taskOf({ name: "other" }),
      headers: { "if-match": '"1"' },
    });
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
    expect(await response.json()).toMatchObject({
      version: 2,
      timeoutSeconds: null,
      env: { A: "1", C: "3" },
      retry: { attempts: 3, backoffSeconds: 1 },
    });
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
    const text = await r.call("PUT", `/tasks/${task.id}/script`, {
      body: Buffer.from(bom),
      headers: { "content-type": "text/x-shellscript; charset=utf-8" },
    });
    expect(text.status).toBe(200);
    expect(await text.json()).toMatchObject({
      version: 2,
      run: { script: bom, scriptBase64: null },
      scriptSha256: sha256Hex(bom),
    });
    const bytes = Buffer.from([0x23, 0xff, 0xfe, 0x00, 0x0a]);
    const binary = await r.call("PUT", `/tasks/${task.id}/script`, {
      body: bytes,
      headers: { "content-type": "application/octet-stream" },
    });
    expect(await binary.json()).toMatchObject({
      version: 3,
      run: { script: null, scriptBase64: bytes.toString("base64") },
      scriptSize: 5,
      scriptSha256: sha256Hex(bytes),
    });
    expect(
      (await r.call("PUT", `/tasks/${task.id}/script`, { body: "{}", headers: { "content-type": "application/json" } })).status,
    ).toBe(415);
    const exec = await create(taskOf({ name: "exec", run: { driver: "exec", program: "/bin/true" } }));
    expect(
      (await r.call("PUT", `/tasks/${exec.id}/script`, { body: "x", headers: { "content-type": "text/plain" } })).status,
    ).toBe(422);
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
