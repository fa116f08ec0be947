import { describe, expect, test } from "vitest";
import { StoreError } from "../../../manager/store/store.ts";
import { problemIn, rig } from "./kit.ts";
import { taskOf } from "./rows.ts";

const full = new StoreError("transient", true, "The database is full (or its disk is): disk full");
const large = taskOf({ run: { driver: "script", interpreter: "sh", script: "x".repeat(100_000) } });

describe("a store in trouble", () => {
  test("that passes: a large task is not taken, and nothing was asked for", async () => {
    const r = await rig();
    Object.assign(r.store, { putBody: () => Promise.reject(full) });
    const response = await r.call("POST", "/tasks", { body: large });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await problemIn(response)).toMatchObject({ code: "not-taken", detail: expect.stringContaining("disk full") });
    expect(r.plane.asked).toEqual([]);
  });

  test("that passes: a read says so", async () => {
    const r = await rig();
    Object.assign(r.store, { task: () => Promise.reject(full) });
    const response = await r.call("GET", "/tasks/t1");
    expect(response.status).toBe(503);
    expect((await problemIn(response)).code).toBe("not-taken");
  });

  test("that does not pass is a failure of ours", async () => {
    const r = await rig();
    Object.assign(r.store, { putBody: () => Promise.reject(new StoreError("permanent", true, "A row is too large")) });
    expect((await r.call("POST", "/tasks", { body: large })).status).toBe(500);
  });
});
