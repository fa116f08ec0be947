import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import { serveApi, type ApiServer } from "../../../manager/api/serve.ts";
import { rig, token, type Rig } from "./kit.ts";
import { runRow } from "./rows.ts";
import { freePorts } from "../../kit/ports.ts";
import { until } from "../../kit/until.ts";

let r: Rig;
let server: ApiServer;
let base: string;
const authorization = `Bearer ${token}`;

beforeEach(async () => {
  r = await rig();
  server = await serveApi(r.app, { host: "127.0.0.1", port: 0, log: silentLog() });
  base = `http://127.0.0.1:${server.port}`;
});

afterEach(() => server.close());

test("serves over a real socket, answers whole, again and again", async () => {
  r.plane.answer = (_, request) => ({
    kind: "run",
    run: runRow({ id: request.kind === "startRun" ? request.item.runId : "x" }),
    repeated: false,
  });
  for (let round = 0; round < 20; round += 1) {
    const response = await fetch(`${base}/tasks/t1/start`, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: '{"params":{}}',
    });
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe(`/runs/${((await response.json()) as { id: string }).id}`);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  }
  const head = await fetch(`${base}/tasks`, { method: "HEAD", headers: { authorization } });
  expect(head.status).toBe(200);
});

test("a start whose client closes its connection is said to be gone, and no other is", async () => {
  const gate = Promise.withResolvers<void>();
  r.plane.answer = async (_, request) => {
    await gate.promise;
    return { kind: "run", run: runRow({ id: request.kind === "startRun" ? request.item.runId : "x" }), repeated: false };
  };
  const start = (signal?: AbortSignal): Promise<Response> =>
    fetch(`${base}/tasks/t1/start`, { method: "POST", headers: { authorization }, ...(signal ? { signal } : {}) });
  const leaving = new AbortController();
  const left = start(leaving.signal).catch((error: unknown) => (error as Error).name);
  await until("the first to be asked", () => r.plane.asked.length === 1);
  const stays = start();
  await until("both to be asked", () => r.plane.asked.length === 2);
  leaving.abort();
  expect(await left).toBe("AbortError");
  await until("its signal", () => r.plane.asked[0]?.gone?.aborted);
  expect(r.plane.asked[1]?.gone?.aborted).toBe(false);
  gate.resolve();
  expect((await stays).status).toBe(202);
  expect(r.plane.asked[1]?.gone?.aborted).toBe(false);
});

/** What the server says to a raw request, once the connection or `enough` ends it. */
async function raw(request: string, enough: (text: string) => boolean): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  // On its way, also where nothing is waited for.
  await Promise.race([closed, new Promise((resolve) => socket.write(request, resolve))]);
  await Promise.race([closed, until("the answer", () => enough(text))]);
  socket.destroy();
  return text;
}

test("a chunked body is counted while it comes: 413 long before its end, and others are served meanwhile", async () => {
  const chunk = `10000\r\n${"a".repeat(65_536)}\r\n`;
  const answer = raw(
    `POST /tasks HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(40)}`,
    (text) => text.includes("too-large"),
  );
  expect((await fetch(`${base}/livez`)).status).toBe(200);
  expect(await answer).toMatch(/^HTTP\/1\.1 413 /);
});

test("an announced length is enough for 413", async () => {
  const answer = await raw(
    `POST /tasks HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n{`,
    (text) => text.includes("too-large"),
  );
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
});

test("a client that leaves in the middle of its body or of its wait disturbs nobody", async () => {
  await r.commit({ op: "insertRun", row: runRow({ state: "running" }) });
  await raw(
    `POST /tasks HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"a"`,
    () => true,
  );
  const leave = new AbortController();
  const waiting = fetch(`${base}/runs/r1?waitSeconds=60`, { headers: { authorization }, signal: leave.signal }).catch(
    (error: unknown) => error,
  );
  await until("the wait to have begun", () => r.plane.listeners > 0);
  leave.abort();
  await waiting;
  await until("the wait to have been let go", () => r.lines.find((line) => line["route"] === "/runs/{id}"));
  expect((await fetch(`${base}/livez`)).status).toBe(200);
});

test("a client of an event stream that leaves gives its place back", async () => {
  const leave = new AbortController();
  const response = await fetch(`${base}/events`, {
    headers: { authorization, accept: "text/event-stream" },
    signal: leave.signal,
  });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  await (response.body as ReadableStream).getReader().read();
  leave.abort();
  await until("the stream to have been let go", () =>
    r.lines.find((line) => line["route"] === "/events" && line["outcome"] === "left"),
  );
});

test("close ends streams cleanly and lets go of the port", async () => {
  // One that no client of another process is given meanwhile.
  const [port = 0] = await freePorts(1);
  const serve = (): Promise<ApiServer> => serveApi(r.app, { host: "127.0.0.1", port, log: silentLog() });
  const first = await serve();
  const response = await fetch(`http://127.0.0.1:${port}/events`, { headers: { authorization, accept: "text/event-stream" } });
  const text = response.text();
  await until("the stream to be open", () => r.plane.listeners > 0);
  await first.close();
  // Whole, and not cut off when the time for answers was up.
  expect(await text).toContain("retry: 3000");
  await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow();
  await (await serve()).close();
});

test("a taken port names the setting that moves it", async () => {
  await expect(serveApi(r.app, { host: "127.0.0.1", port: server.port, log: silentLog() })).rejects.toThrow(/MUSTER_HTTP_PORT/);
  await expect(serveApi(r.app, { host: "203.0.113.1", port: 0, log: silentLog() })).rejects.toThrow(/MUSTER_HTTP_HOST/);
});
