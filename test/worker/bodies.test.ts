import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../schema/digest.ts";
import { timing, workerLimits } from "../../schema/limits.ts";
import { fetchStartBody, uploadResult, type BodiesDeps } from "../../worker/bodies.ts";

let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;
let asked: {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly traceparent: string | undefined;
}[];
let mono: number;
let deps: BodiesDeps;
let folder: string;
const never = new AbortController().signal;

beforeEach(async () => {
  asked = [];
  mono = 0;
  folder = mkdtempSync(join(tmpdir(), "muster-bodies-"));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { authorization, traceparent } = request.headers;
      asked.push({ method: request.method, url: request.url, authorization, traceparent: traceparent as string | undefined });
      answer(request, response, Buffer.concat(chunks));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  deps = { managerUrl: `http://127.0.0.1:${port}`, clock: { now: () => ({ mono, wall: 0 }) }, connected: () => true };
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const content = JSON.stringify({ spec: { driver: "script", script: "echo hi" }, env: { LANG: "C" } });
const ref = (text: string | Uint8Array): Parameters<typeof fetchStartBody>[1] => ({
  path: "/bodies/x",
  sha256: sha256Hex(text),
  size: Buffer.byteLength(text),
  ticket: "get.w.a.x.s",
});

describe("fetchStartBody", () => {
  test("gives spec and env, with the ticket shown", async () => {
    answer = (_request, response) => response.end(content);
    await expect(fetchStartBody(deps, ref(content), 1_000, never)).resolves.toEqual({
      spec: { driver: "script", script: "echo hi" },
      env: { LANG: "C" },
    });
    expect(asked).toEqual([{ method: "GET", url: "/bodies/x", authorization: "Ticket get.w.a.x.s" }]);
  });

  test("tries again while the manager cannot answer", async () => {
    let left = 2;
    answer = (request, response) => {
      if (left-- > 1) request.socket.destroy();
      else if (left >= 0) response.writeHead(503).end();
      else response.end(content);
    };
    await expect(fetchStartBody(deps, ref(content), 60_000, never)).resolves.toMatchObject({ env: { LANG: "C" } });
    expect(asked).toHaveLength(3);
  });

  test("gives up with a sentence when the time is over", async () => {
    answer = (_request, response) => {
      mono += 600;
      response.writeHead(503).end();
    };
    await expect(fetchStartBody(deps, ref(content), 1_000, never)).rejects.toThrow(/answered 503/);
    expect(asked).toHaveLength(2);
  });

  test.each([
    ["a refused ticket", (response: ServerResponse) => response.writeHead(403).end(), content, /answered 403/],
    [
      "another body than announced",
      (response: ServerResponse) => response.end(content.replace("hi", "ho")),
      content,
      /SHA-256 differs/,
    ],
    ["more than announced", (response: ServerResponse) => response.end(`${content}   `), content, /larger than/],
    ["no JSON", (response: ServerResponse) => response.end("echo"), "echo", /not JSON \{spec, env\}/],
    ["JSON of another shape", (response: ServerResponse) => response.end('{"spec":1}'), '{"spec":1}', /not JSON \{spec, env\}/],
  ])("takes no for an answer at once: %s", async (_what, respond, announced, expected) => {
    answer = (_request, response) => respond(response);
    await expect(fetchStartBody(deps, ref(announced), 60_000, never)).rejects.toThrow(expected);
    expect(asked).toHaveLength(1);
  });

  test("a body that ended too early is fetched again", async () => {
    let first = true;
    answer = (_request, response) => {
      response.end(first ? content.slice(0, 10) : content);
      first = false;
    };
    await expect(fetchStartBody(deps, ref(content), 60_000, never)).resolves.toMatchObject({ env: { LANG: "C" } });
  });

  test("a body beyond the bound is not even asked for", async () => {
    await expect(
      fetchStartBody(deps, { ...ref(content), size: workerLimits.fetchedBodyBytes + 1 }, 1_000, never),
    ).rejects.toThrow(/at most/);
    expect(asked).toEqual([]);
  });
});

describe("uploadResult", () => {
  const upload = (): Parameters<typeof uploadResult>[1] => {
    const file = join(folder, "result");
    writeFileSync(file, JSON.stringify("x".repeat(50_000)));
    return { attempt: "a1", file, size: 50_002, ticket: "put.w.a1.9.s" };
  };

  test("sends the file and gives its digest", async () => {
    let got: Buffer = Buffer.alloc(0);
    answer = (_request, response, body) => {
      got = body;
      response.writeHead(201).end("{}");
    };
    const expected = JSON.stringify("x".repeat(50_000));
    await expect(uploadResult(deps, upload(), never)).resolves.toEqual({
      kind: "uploaded",
      sha256: sha256Hex(expected),
      size: expected.length,
    });
    expect(got.toString()).toBe(expected);
    expect(asked).toEqual([{ method: "PUT", url: "/attempts/a1/result", authorization: "Ticket put.w.a1.9.s" }]);
  });

  test("waits for a manager that is away, however long, and gives up only while the worker is connected", async () => {
    let connected = false;
    answer = (_request, response) => {
      mono += timing.resultUploadMs;
      connected = asked.length > 2;
      response.writeHead(503).end();
    };
    await expect(uploadResult({ ...deps, connected: () => connected }, upload(), never)).resolves.toEqual({
      kind: "bad",
      why: expect.stringContaining("answered 503"),
    });
    expect(asked).toHaveLength(3);
  });

  test("a no for good ends it at once, and the end says why", async () => {
    answer = (_request, response) => response.writeHead(413).end();
    await expect(uploadResult(deps, upload(), never)).resolves.toEqual({
      kind: "bad",
      why: expect.stringContaining("answered 413"),
    });
    expect(asked).toHaveLength(1);
  });

  test("a file that is gone, cut, or a link by now is a bad result, and nothing of it is sent", async () => {
    const whole = upload();
    symlinkSync(whole.file, join(folder, "link"));
    writeFileSync(join(folder, "cut"), "{}");
    for (const name of ["gone", "link", "cut"]) {
      const result = await uploadResult(deps, { ...whole, file: join(folder, name) }, never);
      expect(result, name).toEqual({ kind: "bad", why: expect.stringContaining("was changed") });
    }
    expect(asked).toEqual([]);
  });
});

test("requests say which span of the worker's they belong to, where it makes spans, and nothing else does", async () => {
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  answer = (request, response) => response.end(request.method === "GET" ? content : "");
  const file = join(folder, "result");
  writeFileSync(file, "[1]");
  const upload = { attempt: "a1", file, size: 3, ticket: "t" };
  await fetchStartBody(deps, { ...ref(content), traceparent }, 1_000, never);
  await uploadResult({ ...deps, contextOf: (attempt) => (attempt === "a1" ? traceparent : undefined) }, upload, never);
  await fetchStartBody(deps, ref(content), 1_000, never);
  await uploadResult(deps, upload, never);
  expect(asked.map((each) => each.traceparent)).toEqual([traceparent, traceparent, undefined, undefined]);
});
