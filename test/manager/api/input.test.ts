import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { requestLimits } from "../../../schema/limits.ts";
import { taskInput } from "../../../schema/task.ts";
import { problemIn, rig, type Rig } from "./kit.ts";
import { runRow, taskOf, taskRow, versionRow } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
});

const send = (
  body: string | Uint8Array,
  headers: Record<string, string> = { "content-type": "application/json" },
): Promise<Response> => r.call("POST", "/tasks", { body, headers });

describe("bodies", () => {
  test.each([
    ["an empty one", ""],
    ["not JSON", "{name: 1}"],
    ["half of it", '{"name":"a"'],
    ["a list", "[]"],
    ["null", "null"],
    ["a number", "7"],
    ["invalid UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d)],
    ["an overlong sequence", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)],
    ["deep nesting", `${"[".repeat(5_000)}${"]".repeat(5_000)}`],
    ["a byte order mark and nothing", "\uFEFF"],
  ])("%s is 400", async (_, body) => {
    const response = await send(body);
    expect(response.status).toBe(400);
    expect((await problemIn(response)).code).toBe("malformed");
  });

  test.each([
    ['{"__proto__":{"name":"x"}}', "/__proto__"],
    ['{"name":"a","run":{"driver":"exec","program":"x"},"params":{"__proto__":"1"}}', "/params/__proto__"],
    ['{"name":"a","labels":{"\\u005f_proto__":"1"}}', "/labels/__proto__"],
    ['{"name":"a","run":{"driver":"mine","options":{"a":[{"__proto__":{}}]}}}', "/run/options/a/0/__proto__"],
    ['{"name":"a","run":{"driver":"mine","options":{"constructor":{}}}}', "/run/options/constructor"],
    ['{"name":"a","run":{"driver":"exec","program":"x"},"labels":{"constructor":"1"}}', "/labels/constructor"],
  ])("%s is refused by name", async (body, at) => {
    const response = await send(body);
    expect(response.status).toBe(400);
    expect((await problemIn(response)).errors?.map((error) => error.at)).toContain(at);
    expect(({} as Record<string, unknown>)["name"]).toBeUndefined();
  });

  const ill = String.raw`a\ud800`;
  test.each([
    [`{"name":"${ill}","run":{"driver":"exec","program":"x"}}`, "/name"],
    [`{"name":"a","labels":{"zone":"${ill}"}}`, "/labels/zone"],
    [`{"name":"a","labels":{"${ill}":"1"}}`, "/labels/a\uFFFD"],
    [`{"name":"a","run":{"driver":"mine","options":{"a":["b",{"c":"\\udc00\\ud83d"}]}}}`, "/run/options/a/1/c"],
    [`"${ill}"`, ""],
  ])("%s, which holds half a character, is refused by name", async (body, at) => {
    const response = await send(body);
    expect(response.status).toBe(400);
    const { code, errors } = await problemIn(response);
    expect(code).toBe("malformed");
    expect(errors).toEqual([{ at, message: expect.stringContaining("surrogate") }]);
  });

  test("whole characters may be written with escapes", async () => {
    const definition = taskInput.parse(taskOf());
    r.plane.answer = () => ({ kind: "task", task: taskRow(), version: versionRow({ definition }), created: true });
    const body = JSON.stringify(taskOf({ params: { a: "x" } })).replace('"x"', String.raw`"\ud83d\ude00 \u00e9 \\ud800"`);
    expect((await send(body)).status).toBe(201);
  });

  test("a value may say __proto__", async () => {
    const definition = taskInput.parse(taskOf());
    r.plane.answer = () => ({ kind: "task", task: taskRow(), version: versionRow({ definition }), created: true });
    expect((await send(JSON.stringify(taskOf({ params: { a: "__proto__" } })))).status).toBe(201);
  });

  test.each([undefined, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json"])(
    "the content type %s is 415",
    async (type) => {
      const response = await r.call("POST", "/tasks", { body: Buffer.from("{}"), headers: type ? { "content-type": type } : {} });
      expect(response.status).toBe(415);
      expect((await problemIn(response)).detail).toContain("application/json");
    },
  );

  test("more than a mebibyte is 413: announced, or counted while it comes", async () => {
    const large = JSON.stringify(taskOf({ env: { A: "x".repeat(2_000_000) } }));
    const announced = await send(large, { "content-type": "application/json", "content-length": String(large.length) });
    expect(announced.status).toBe(413);
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
      },
    });
    const chunked = await r.call("POST", "/tasks", { body: endless, headers: { "content-type": "application/json" } });
    expect(chunked.status).toBe(413);
    expect(pulled * 65_536).toBeLessThan(requestLimits.bodyBytes * 1.5);
    const most = `${JSON.stringify(taskOf({ name: "" }))}`.padEnd(requestLimits.bodyBytes, " ");
    expect((await send(most)).status).toBe(400);
  });

  test("no more than a hundred wrong fields are listed", async () => {
    const response = await send(
      JSON.stringify({ ...taskOf(), ...Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`x${index}`, 1])) }),
    );
    expect((await problemIn(response)).errors).toHaveLength(requestLimits.fieldErrors);
  });
});

test("whatever JSON comes, the answer is one of ours, and only what fits is asked of the plane", async () => {
  const definition = taskInput.parse(taskOf());
  r.plane.answer = () => ({ kind: "task", task: taskRow(), version: versionRow({ definition }), created: true });
  const anything = fc.jsonValue({ maxDepth: 4 });
  const nearly = fc.record(
    {
      name: fc.oneof(fc.string(), anything),
      run: fc.oneof(
        anything,
        fc.record(
          {
            driver: fc.oneof(fc.constantFrom("exec", "script", "mine"), anything),
            program: anything,
            interpreter: anything,
            args: anything,
          },
          { requiredKeys: [] },
        ),
      ),
      params: anything,
      env: anything,
      retry: anything,
      requires: anything,
      labels: anything,
      constraints: anything,
      timeoutSeconds: anything,
      extra: anything,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(nearly, anything), async (body) => {
      const before = r.plane.asked.length;
      const response = await send(JSON.stringify(body));
      expect([201, 400, 422]).toContain(response.status);
      expect(r.plane.asked.length - before).toBe(response.status === 201 ? 1 : 0);
    }),
    { numRuns: 1_500 },
  );
});

test("whatever bytes come, nothing breaks", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      expect((await send(bytes)).status).toBe(400);
    }),
    { numRuns: 500 },
  );
});

test("whatever an address says, the answer is one of ours", async () => {
  await r.commit({ op: "insertRun", row: runRow() });
  const part = fc.string({ unit: "binary", maxLength: 20 }).map(encodeURIComponent);
  const paths = fc.oneof(
    fc
      .tuple(fc.constantFrom("/tasks/", "/runs/", "/workers/", "/tasks/by-name/", "/bodies/", "/"), part)
      .map(([path, id]) => path + id),
    fc
      .tuple(
        fc.constantFrom("/tasks", "/runs", "/workers", "/events", "/runs/r1", "/runs/r1/logs"),
        fc.constantFrom("limit", "cursor", "state", "label", "since", "after", "from", "attempt", "x"),
        part,
      )
      .map(([path, name, value]) => `${path}?${name}=${value}`),
  );
  await fc.assert(
    fc.asyncProperty(paths, async (path) => {
      const response = await r.call("GET", path);
      await response.body?.cancel();
      expect([200, 400, 401, 404, 405]).toContain(response.status);
    }),
    { numRuns: 1_500 },
  );
});
