import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { taskExample, taskViewExample, runSummaryExample, runViewExample, workerExample } from "../../../manager/api/examples.ts";
import { preferred } from "../../../manager/api/accept.ts";
import { markup, prose } from "../../../manager/api/html.ts";
import { mergePatch } from "../../../manager/api/merge-patch.ts";
import { routes } from "../../../manager/api/routes.ts";
import { runSummary, runView } from "../../../schema/run.ts";
import { taskInput } from "../../../schema/task.ts";
import { taskView } from "../../../schema/task-view.ts";
import { workerView } from "../../../schema/worker.ts";
import { document } from "./contract.ts";
import { refuse, rig } from "./kit.ts";

test("the examples are what they show", () => {
  expect(taskInput.safeParse(taskExample).error).toBeUndefined();
  expect(taskView.safeParse(taskViewExample).error).toBeUndefined();
  expect(runSummary.safeParse(runSummaryExample).error).toBeUndefined();
  expect(runView.safeParse(runViewExample).error).toBeUndefined();
  expect(workerView.safeParse(workerExample).error).toBeUndefined();
  for (const { spec } of routes) {
    if (spec.body?.kind === "json") expect(spec.body.schema.safeParse(spec.body.example).error, spec.operationId).toBeUndefined();
    for (const [status, reply] of Object.entries(spec.replies)) {
      const schema = reply.content?.["application/json"];
      if (reply.example === undefined || schema === undefined || typeof schema === "string") continue;
      expect(schema.safeParse(reply.example).error, `${spec.operationId} ${status}`).toBeUndefined();
    }
  }
});

test("/openapi.json is the document, open to all", async () => {
  const r = await rig();
  const response = await r.call("GET", "/openapi.json", { bare: true });
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual(JSON.parse(JSON.stringify(document)));
});

test("/docs has every operation and schema, runs only its own script and style, and loads nothing", async () => {
  const r = await rig();
  const response = await r.call("GET", "/docs", { bare: true });
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const page = await response.text();
  for (const { spec } of routes) expect(page).toContain(`id="${spec.operationId}"`);
  for (const name of Object.keys((document["components"] as { schemas: object }).schemas))
    expect(page).toContain(`id="schema-${name}"`);
  const anchors = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
  for (const id of new Set(anchors)) expect(page, `#${id}`).toContain(`id="${id}"`);
  const csp = response.headers.get("content-security-policy") ?? "";
  expect(csp).not.toContain("unsafe");
  for (const [, , text] of page.matchAll(/<(script|style)>([\s\S]*?)<\/\1>/g))
    expect(csp).toContain(
      createHash("sha256")
        .update(text as string)
        .digest("base64"),
    );
  expect(page).not.toMatch(/(src|srcset|action)=|@import|url\(|style="|onclick/);
});

test("health: pass and warn are 200, fail is 503; alarms make it warn", async () => {
  const r = await rig();
  const health = async (): Promise<{ http: number; status: string; alarms: unknown[] }> => {
    r.now.mono += 10_000;
    const response = await r.call("GET", "/health", { bare: true });
    return { http: response.status, ...((await response.json()) as { status: string; alarms: unknown[] }) };
  };
  expect(await health()).toMatchObject({ http: 200, status: "pass" });
  r.plane.alarmList.push({ kind: "workerRefused", since: 5_000, sentence: "two hosts have the id w1" });
  expect(await health()).toMatchObject({
    http: 200,
    status: "warn",
    alarms: [{ kind: "workerRefused", since: "1970-01-01T00:00:05.000Z", sentence: "two hosts have the id w1" }],
  });
  r.plane.health = [{ name: "store", status: "fail", sentence: "the disk is full" }];
  expect(await health()).toMatchObject({
    http: 503,
    status: "fail",
    checks: [{ name: "store", status: "fail", sentence: "the disk is full" }],
  });
  r.plane.checks = async () => {
    throw refuse("internal", "cannot look");
  };
  expect(await health()).toMatchObject({ http: 503, status: "fail" });
});

test("health asks the plane once for all who ask within a second", async () => {
  const r = await rig();
  let asked = 0;
  r.plane.checks = async () => ((asked += 1), []);
  await Promise.all(Array.from({ length: 20 }, () => r.call("GET", "/health", { bare: true })));
  expect(asked).toBe(1);
  r.now.mono += 1_000;
  await r.call("GET", "/health", { bare: true });
  expect(asked).toBe(2);
});

test("livez always answers, readyz when requests would be taken", async () => {
  const r = await rig();
  expect((await r.call("GET", "/livez", { bare: true })).status).toBe(200);
  expect((await r.call("GET", "/readyz", { bare: true })).status).toBe(200);
  r.plane.isReady = false;
  const response = await r.call("GET", "/readyz", { bare: true });
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ ready: false, sentence: "follows" });
  expect((await r.call("GET", "/livez", { bare: true })).status).toBe(200);
});

test.each([
  [undefined, "text/plain"],
  ["*/*", "text/plain"],
  ["text/event-stream", "text/event-stream"],
  ["text/*;q=0.5, application/x-ndjson", "application/x-ndjson"],
  ["text/plain;q=0.1, */*;q=0.9", "application/x-ndjson"],
  ["TEXT/EVENT-STREAM; charset=utf-8", "text/event-stream"],
])("Accept %s gives %s", (header, type) => {
  expect(preferred(header, ["text/plain", "application/x-ndjson", "text/event-stream"])).toBe(type);
});

test.each(["image/png", "text/plain;q=0", "nonsense"])("Accept %s gives nothing", (header) => {
  expect(() => preferred(header, ["text/plain"])).toThrow("text/plain");
});

test("merge patch: the examples of RFC 7396, appendix A", () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) expect(mergePatch(target, patch)).toEqual(result);
});

test("what is put into HTML stays text", () => {
  expect(markup`<b title="${'"><script>'}">${"<&>"}</b>`.text).toBe('<b title="&quot;&gt;&lt;script&gt;">&lt;&amp;&gt;</b>');
  expect(prose("a `<b>` c").text).toBe("a <code>&lt;b&gt;</code> c");
});
