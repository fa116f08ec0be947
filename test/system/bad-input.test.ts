import { createHash } from "node:crypto";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBystander, type Bystander } from "../kit/bystander.ts";
import { Fleet } from "../kit/fleet.ts";
import { jsonLines } from "../kit/json-lines.ts";
import { until } from "../kit/until.ts";

const streamBytes = 25_000_000;

let fleet: Fleet;
let bystander: Bystander;
beforeAll(async () => {
  fleet = await Fleet.start({ MUSTER_LOG_STREAM_BYTES: String(streamBytes) });
  await fleet.startWorker("a", { MUSTER_WORKER_LABELS: "zone=a" });
  bystander = await startBystander(fleet);
});
afterAll(() => fleet[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: any;
}

/** Bytes as they are, which no client library would send. */
async function send(
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
  type = "application/json",
): Promise<Answer> {
  const headers = { authorization: `Bearer ${fleet.token}`, ...(body === undefined ? {} : { "content-type": type }) };
  const response = await fetch(`${fleet.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  return { status: response.status, body: await response.json() };
}

/** The manager's log has one line of it, by which an operator can find and count it. */
async function isLogged(problem: { readonly requestId: string; readonly code: string }): Promise<void> {
  const lines = await until("its log line", () => {
    const found = jsonLines(fleet.manager?.logFile ?? "").filter(({ requestId }) => requestId === problem.requestId);
    return found.length > 0 && found;
  });
  expect(lines.map(({ outcome }) => outcome)).toEqual([problem.code]);
}

const task = { name: "never-made", run: { driver: "exec", program: "/bin/true" } };
const json = JSON.stringify;

describe("a request that cannot be taken names what is wrong and what is right, is logged, and makes nothing", () => {
  test.for<[what: string, body: string | Uint8Array<ArrayBuffer>, status: number, detail: RegExp, at: readonly string[]]>([
    [
      "unknown keys",
      json({ ...task, nmae: 1, timeoutSecond: 4 }),
      400,
      /\/nmae: is not known here; known are name, kind, /,
      ["/nmae", "/timeoutSecond"],
    ],
    [
      "an unknown key in what to run",
      json({ ...task, run: { ...task.run, script: "x" } }),
      400,
      /\/run\/script: .* known are driver, program, /,
      ["/run/script"],
    ],
    [
      "wrong types",
      json({ ...task, timeoutSeconds: "600", constraints: "os=linux", params: { a: 1 } }),
      400,
      /must be a string, not 1 \(and 2 more\)/,
      ["/params/a", "/timeoutSeconds", "/constraints"],
    ],
    [
      "what is missing",
      json({ name: "never-made", run: { driver: "exec" } }),
      400,
      /\/run\/program: is needed: a string/,
      ["/run/program"],
    ],
    [
      "__proto__",
      '{"name":"never-made","run":{"driver":"exec","program":"/bin/true"},"params":{"__proto__":"1"}}',
      400,
      /\/params\/__proto__ is a reserved word/,
      ["/params/__proto__"],
    ],
    ["2 MB", json({ ...task, env: { A: "x".repeat(2_000_000) } }), 413, /at most 1048576 bytes.*PUT \/tasks\/\{id\}\/script/, []],
    ["invalid UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d), 400, /not valid UTF-8/, []],
    ["half of a JSON text", '{"name":"never-made"', 400, /not JSON: .*position/, []],
    ["a name with a slash", json({ ...task, name: "a/b" }), 400, /\/name: must not contain \//, ["/name"]],
    [
      "a pool that is no id",
      json({ ...task, pool: "a b" }),
      400,
      /\/pool: must be 1 to 36 characters of A-Z a-z 0-9 _ -/,
      ["/pool"],
    ],
    ["a pool that nobody leads", json({ ...task, pool: "moon" }), 422, /pool moon; there is default/, ["/pool"]],
    [
      "a constraint that breaks off",
      json({ ...task, constraints: ["os=linux", "label.zone in (a"] }),
      422,
      /\/constraints\/1: position 16 of "label\.zone in \(a": expected , or \)/,
      ["/constraints/1"],
    ],
    [
      "a constraint about nothing known",
      json({ ...task, constraints: ["zone=a"] }),
      422,
      /position 0 of "zone=a": expected one of os, .*label\.<name>.*, not zone/,
      ["/constraints/0"],
    ],
  ])("%s", async ([, body, status, detail, at]) => {
    const answer = await send("POST", "/tasks", body);
    expect(answer).toMatchObject({ status, body: { status, detail: expect.stringMatching(detail) } });
    expect((answer.body.errors ?? []).map((error: { at: string }) => error.at)).toEqual(at);
    await isLogged(answer.body);
    expect((await fleet.call("GET", "/tasks?name=never-made")).body.items).toEqual([]);
  });

  test.for(["a%2Fb", "a+b", "a%23b", "a%20b", "%00", "x".repeat(37)])("the id %s, wherever it may stand", async (id) => {
    for (const path of ["tasks", "runs", "workers"]) {
      const answer = await send("GET", `/${path}/${id}`);
      expect(answer).toMatchObject({
        status: 400,
        body: { detail: expect.stringContaining("1 to 36 characters of A-Z a-z 0-9 _ -") },
      });
      await isLogged(answer.body);
    }
    const workerId = decodeURIComponent(id);
    const started = await send("POST", "/runs", json({ items: [{ taskId: workerId, workerId }] }));
    expect(started.status).toBe(400);
    expect(started.body.errors.map((error: { at: string }) => error.at)).toEqual(["/items/0/taskId", "/items/0/workerId"]);
  });

  test("a start with what the task does not declare, of a task without its script, and a signal that no host knows", async () => {
    const taskId = await fleet.task({ ...task, name: "declares", params: { city: "Brno" } });
    const started = await send("POST", `/tasks/${taskId}/start`, json({ params: { town: "x" } }));
    expect(started).toMatchObject({ status: 422, body: { detail: "the task declares no parameter town; it declares city" } });
    const empty = await fleet.task({ name: "empty", run: { driver: "script", interpreter: "sh" } });
    const early = await send("POST", `/tasks/${empty}/start`);
    expect(early).toMatchObject({
      status: 422,
      body: { detail: `the task has no script yet; give it one with PUT /tasks/${empty}/script` },
    });
    const signalled = await send("POST", `/runs/${bystander.id}/signal`, json({ signal: "SIGFOO" }));
    expect(signalled).toMatchObject({
      status: 400,
      body: { detail: expect.stringMatching(/must be one of SIGHUP, .*; "SIGFOO" is not/) },
    });
    for (const answer of [started, early, signalled]) await isLogged(answer.body);
    expect((await fleet.call("GET", `/runs?taskId=${taskId}`)).body.items).toEqual([]);
  });
});

async function runOf(name: string, definition: Record<string, unknown>): Promise<string> {
  const [id = ""] = await fleet.startRuns(await fleet.task({ name, ...definition }), 1);
  return id;
}

describe("what cannot start says why on the run itself", () => {
  const file = (name: string, content: string, mode: number): string => {
    const path = `${fleet.folder}/${name}`;
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };
  const root = userInfo().uid === 0;

  test.for<[what: string, run: () => Record<string, unknown>, why: RegExp]>([
    ["a missing program", () => ({ program: "/no/such/program" }), /the program \/no\/such\/program does not exist/],
    [
      "a program that is not on the PATH",
      () => ({ program: "no-such-program" }),
      /no program "no-such-program" on the PATH \(\//,
    ],
    ["no execute permission", () => ({ program: file("plain", "#!/bin/sh\n", 0o644) }), /no execute permission on \/.*plain/],
    [
      "a missing interpreter of a program",
      () => ({ program: file("odd", "#!/no/such/interpreter\n", 0o755) }),
      /"\/no\/such\/interpreter", which does not exist/,
    ],
    [
      "a missing working directory",
      () => ({ program: "/bin/true", workingDirectory: "/no/such/folder" }),
      /the working directory \/no\/such\/folder does not exist/,
    ],
    [
      "a missing user",
      () => ({ program: "/bin/true", user: "nosuchuser" }),
      root ? /no user "nosuchuser" on this host/ : /runs as root/,
    ],
  ])("%s", async ([what, run, why]) => {
    const ended = await fleet.ended(await runOf(what, { run: { driver: "exec", ...run() } }));
    expect(ended).toMatchObject({ state: "failed", end: { how: "failedToStart", why: expect.stringMatching(why) } });
    expect(ended.reason).toBe(`failed to start: ${ended.end.why}`);
    expect(ended.attempts).toHaveLength(1);
  });

  test.for<[what: string, definition: Record<string, unknown>, reason: string]>([
    ["interpreter", { run: { driver: "script", interpreter: "cmd", script: "ver" } }, "1 worker: 1 lacks interpreter cmd"],
    ["driver", { run: { driver: "nobodys" } }, "1 worker: 1 lacks driver nobodys"],
    ["label", { ...task, constraints: ["label.zone=b"] }, "1 worker: 1 has label zone=a (wanted: label.zone=b)"],
    ["slots", { ...task, requires: { slots: 900 } }, "1 worker: 1 has only 10 slots"],
  ])("a %s that no worker has is a reason to wait, and no failure", async ([what, definition, reason]) => {
    const id = await runOf(`waits for ${what}`, { ...definition, name: `waits for ${what}` });
    await until("the reason", async () => (await fleet.run(id)).reason === reason);
    expect(await fleet.run(id)).toMatchObject({ state: "queued", attempts: [] });
    await fleet.call("POST", `/runs/${id}/stop`);
    expect(await fleet.ended(id)).toMatchObject({ state: "stopped", attempts: [] });
  });
});

const script = (text: string): Record<string, unknown> => ({ run: { driver: "script", interpreter: "sh", script: text } });

async function output(id: string, stream: "stdout" | "stderr" = "stdout"): Promise<Buffer> {
  const response = await fetch(`${fleet.url}/runs/${id}/logs?stream=${stream}`, {
    headers: { authorization: `Bearer ${fleet.token}` },
  });
  return Buffer.from(await response.arrayBuffer());
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("output of any kind", () => {
  test("binary comes back byte by byte, and as base64 where it has to be text", async () => {
    const copy = `${fleet.folder}/random`;
    const id = await runOf("binary", script(`head -c 300000 /dev/urandom | tee ${copy}; printf '\\377\\376\\000' >&2`));
    expect(await fleet.ended(id)).toMatchObject({ state: "succeeded" });
    await until("all of it", async () => (await output(id)).length >= 300_000);
    expect((await output(id)).equals(readFileSync(copy))).toBe(true);
    await until("the error output", async () => (await output(id, "stderr")).length >= 3);
    const lines = await fleet.call("GET", `/runs/${id}/logs?stream=stderr`, undefined, { accept: "application/x-ndjson" });
    expect(lines.body).toEqual({ attempt: 1, stream: "stderr", offset: 0, length: 3, base64: "//4A" });
  });

  test("lines of 10 MB come back whole", async () => {
    const line = "head -c 10000000 /dev/zero | tr '\\0' x; echo";
    const id = await runOf("long lines", script(`${line}; ${line}`));
    expect(await fleet.ended(id)).toMatchObject({ state: "succeeded" });
    await until("all of it", async () => (await output(id)).length >= 20_000_002, 60_000);
    const whole = Buffer.from(`${"x".repeat(10_000_000)}\n`);
    expect(digest(await output(id))).toBe(digest(Buffer.concat([whole, whole])));
  });

  test("output that never stops is cut at its bound and says so, takes a bounded part of the disk, and can be stopped", async () => {
    const id = await runOf("endless", script("exec yes"));
    await until("the bound to be reached", async () => (await output(id)).length > streamBytes, 60_000);
    const { attempts } = await fleet.run(id);
    const file = `${fleet.folder}/worker-a/worker/attempts/${attempts[0].id}/stdout`;
    await until(
      "far more to be written than lies on the disk",
      () => {
        const { size, blocks } = statSync(file);
        return size > 500_000_000 && blocks * 512 < size / 2;
      },
      60_000,
    );
    await fleet.call("POST", `/runs/${id}/stop`);
    expect(await fleet.ended(id)).toMatchObject({ state: "stopped", end: { how: "stopped", by: "tester" } });
    const bytes = await output(id);
    expect(bytes.subarray(0, streamBytes).equals(Buffer.alloc(streamBytes, "y\n"))).toBe(true);
    expect(bytes.subarray(streamBytes).toString()).toMatch(
      /^(\n\[muster: \d+ bytes of stdout are missing: output beyond 25000000 bytes of a stream is not kept\]\n)+$/,
    );
  });
});

describe("a result that cannot be taken is left out and says so; the end is what the process said", () => {
  const deep = `${"[".repeat(15_000)}${"]".repeat(15_000)}`;
  test.for<[what: string, text: string, message: RegExp]>([
    ["no JSON", 'echo nonsense > "$MUSTER_RESULT"', /The result was left out: the result is not one JSON value/],
    ["JSON deep enough to exhaust a stack", `printf '%s' '${deep}' > "$MUSTER_RESULT"`, /nested deeper than 64 levels/],
    ["invalid UTF-8", `printf '"\\377"' > "$MUSTER_RESULT"`, /not one JSON value in UTF-8/],
    ["too large", `head -c 11000000 /dev/zero > "$MUSTER_RESULT"`, /has 11000000 bytes, and at most 10485760 are taken/],
  ])("%s", async ([what, text, message]) => {
    const run = await fleet.ended(await runOf(`result: ${what}`, script(text)));
    expect(run).toMatchObject({ state: "succeeded", end: { how: "exited", code: 0 }, result: null });
    expect(run.progress.message).toMatch(message);
  });
});

test("and all the while a run that had nothing to do with it went on", async () => {
  expect((await fleet.run(bystander.id)).state).toBe("running");
  await bystander.endsTruly();
  expect((await fleet.call("GET", "/health")).body).toMatchObject({ status: "pass", alarms: [] });
});
