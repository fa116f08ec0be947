/** deploy/nginx in a real nginx, before small managers of our own that behave badly. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { baseHeaders } from "../../manager/api/headers.ts";
import { requestLimits } from "../../schema/limits.ts";
import { freePorts } from "../kit/ports.ts";
import { Nginx, nginxMissing } from "../kit/nginx.ts";
import { until } from "../kit/until.ts";

type Behaviour = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

interface Upstream {
  readonly port: number;
  readonly asked: { method: string; path: string; headers: IncomingMessage["headers"]; bytes: number }[];
  /** TCP connections so far. */
  connections: number;
  behave: Behaviour;
}

const answers: Behaviour = (request, response) => {
  response.writeHead(200, { "content-type": "application/json", ...baseHeaders(true) });
  response.end(JSON.stringify({ path: request.url }));
};
const cuts: Behaviour = (request) => request.socket.destroy();
const hangs: Behaviour = () => undefined;

async function upstream(behave: Behaviour = answers): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const asked: Upstream["asked"] = [];
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      asked.push({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, bytes: body.length });
      made.behave(request, response, body);
    });
  });
  const made: Upstream = { port: 0, asked, connections: 0, behave };
  server.on("connection", (socket) => {
    made.connections += 1;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return Object.assign(made, { port: (server.address() as AddressInfo).port });
}

async function before(ports: readonly number[], fill: readonly (readonly [string, string])[] = []): Promise<Nginx> {
  const nginx = await Nginx.before(ports, fill);
  onTestFinished(async () => await nginx[Symbol.asyncDispose]());
  return nginx;
}

/** A manager that hangs is given up after this in tests. */
const impatient = ["proxy_read_timeout 20s;", "proxy_read_timeout 1s;"] as const;
const unknown = {
  type: "urn:muster:problem:outcome-unknown",
  status: 503,
  code: "outcome-unknown",
  title: "The outcome is unknown; repeat with the same Idempotency-Key",
};
const notTaken = { type: "urn:muster:problem:not-taken", status: 503, code: "not-taken", title: "Not taken; try again" };

describe.skipIf(nginxMissing !== undefined)(`nginx before managers${nginxMissing ? ` (skipped: ${nginxMissing})` : ""}`, () => {
  describe("a manager that is away", () => {
    test("is passed by, also for what must not be done twice; each request reaches one manager", async () => {
      const well = await upstream();
      const [nobody = 0] = await freePorts(1);
      const nginx = await before([nobody, well.port]);
      for (const method of ["GET", "POST", "PATCH", "POST"])
        expect((await nginx.call(method, "/tasks", { body: "{}" })).status, method).toBe(200);
      expect(well.asked.map(({ method }) => method)).toEqual(["GET", "POST", "PATCH", "POST"]);
    });

    test("and no other: nothing was taken, and the answer says so in the API's own form", async () => {
      const nginx = await before(await freePorts(2));
      for (let round = 0; round < 4; round += 1) {
        for (const method of ["POST", "GET", "PATCH", "DELETE"]) {
          const answer = await nginx.call(method, "/tasks/t1/start", { body: "{}" });
          expect(answer.status).toBe(503);
          expect(answer.json(), `${method} ${answer.text}`).toMatchObject(notTaken);
          expect(answer.header("content-type")).toBe("application/problem+json");
          expect(answer.header("retry-after")).toBe("2");
          expect(answer.header("strict-transport-security")).toContain("max-age=31536000");
        }
      }
    });
  });

  describe("a manager that dies with a request in its hands", () => {
    test.for(["POST", "PATCH"])("a %s is never sent to another one; the outcome is called unknown", async (method) => {
      const [one, other] = [await upstream(cuts), await upstream(cuts)];
      const nginx = await before([one.port, other.port]);
      for (let sent = 1; sent <= 2; sent += 1) {
        const answer = await nginx.call(method, "/tasks/t1/start", { body: "{}" });
        expect(answer.status).toBe(503);
        expect(answer.json()).toMatchObject(unknown);
        expect(answer.header("retry-after")).toBe("2");
        expect(one.asked.length + other.asked.length).toBe(sent);
      }
    });

    const forOne = ["PUT /tasks/by-name/a", "PUT /tasks/t1/script", "PUT /attempts/a1/result", "DELETE /workers/w1?stop=true"];
    test.for(forOne)("nor is a %s: who has not taken it would say so for the one that has", async (request) => {
      const [method = "", path = ""] = request.split(" ");
      const refuses: Behaviour = (_, response) => void response.writeHead(503).end(JSON.stringify(notTaken));
      const [one, other] = [await upstream(cuts), await upstream(refuses)];
      const nginx = await before([one.port, other.port]);
      for (let sent = 1; sent <= 3; sent += 1) {
        const heard = one.asked.length;
        const answer = await nginx.call(method, path, method === "PUT" ? { body: "{}" } : {});
        expect(answer.status).toBe(503);
        expect(answer.json()).toMatchObject(one.asked.length > heard ? unknown : notTaken);
        expect(one.asked.length + other.asked.length).toBe(sent);
      }
      expect(one.asked.length).toBeGreaterThan(0);
    });

    test("a GET goes to the other one", async () => {
      const [one, other] = [await upstream(cuts), await upstream()];
      const nginx = await before([one.port, other.port]);
      for (let n = 0; n < 4; n += 1) expect((await nginx.call("GET", "/runs")).status).toBe(200);
      expect(one.asked.length).toBeGreaterThan(0);
    });

    test("an answer that ends in the middle is not called whole", async () => {
      const half: Behaviour = (_, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("half", () => response.socket?.destroy());
      };
      const one = await upstream(half);
      const nginx = await before([one.port, one.port]);
      await expect(nginx.call("POST", "/tasks", { body: "{}" })).rejects.toThrow();
      expect(one.asked).toHaveLength(1);
    });
  });

  describe("a manager that takes requests and says nothing, such as one that is paused", () => {
    test("a GET is answered by the other one, a POST is called unknown, and then it is left out", async () => {
      const [one, other] = [await upstream(hangs), await upstream()];
      const forGood = [`:${one.port} max_fails=2 fail_timeout=5s`, `:${one.port} max_fails=2 fail_timeout=600s`] as const;
      const nginx = await before([one.port, other.port], [impatient, forGood]);
      const posts = await Promise.all(Array.from({ length: 4 }, () => nginx.call("POST", "/tasks/t1/start", { body: "{}" })));
      expect(one.asked.length + other.asked.length).toBe(4);
      for (const answer of posts) if (answer.status !== 200) expect(answer.json()).toMatchObject(unknown);
      const heard = one.asked.length;
      expect(heard).toBeGreaterThan(0);
      // The other one is this process, which hangs as well when the host has no time for it.
      expect(posts.filter(({ status }) => status === 503).length).toBeGreaterThanOrEqual(heard);
      for (const n of [1, 2, 3]) await until(`answer ${n}`, async () => (await nginx.call("GET", "/runs")).status === 200);
      if (heard >= 2) expect(one.asked.length).toBe(heard);
    });
  });

  describe("bodies", () => {
    test("as large as the API takes them, and a problem beyond", async () => {
      const one = await upstream();
      const nginx = await before([one.port]);
      const put = async (path: string, bytes: number) => await nginx.call("PUT", path, { body: Buffer.alloc(bytes, "x") });
      for (const [path, most] of [
        ["/tasks/by-name/a", requestLimits.bodyBytes],
        ["/tasks/t1/script", requestLimits.scriptBytes],
        ["/attempts/a1/result", requestLimits.resultBytes],
      ] as const) {
        expect((await put(path, most)).status, path).toBe(200);
        expect(one.asked.at(-1)).toMatchObject({ path, bytes: most });
        const refused = await put(path, most + 1);
        expect(refused.status, path).toBe(413);
        expect(refused.json()).toMatchObject({ code: "too-large", status: 413 });
        expect(one.asked.at(-1)).toMatchObject({ path, bytes: most });
      }
    });

    test("an event stream, and output that is followed, arrive at once and piece by piece", async () => {
      const pushers: ((text: string) => void)[] = [];
      const streams: Behaviour = (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        pushers.push((text) => void response.write(text));
        response.write("id: 1\n\n");
      };
      const one = await upstream(streams);
      const nginx = await before([one.port]);
      for (const path of ["/events", "/runs/r1/logs?follow=true"]) {
        const stream = await nginx.follow(path, {});
        // The upstream says the next only when the one before has arrived: nothing may wait for a fuller buffer.
        for (let n = 1; n <= 5; n += 1) {
          await until(
            `piece ${n} of ${path}`,
            () => stream.text() === Array.from({ length: n }, (_, at) => `id: ${at + 1}\n\n`).join(""),
          );
          pushers.at(-1)?.(`id: ${n + 1}\n\n`);
        }
        stream.leave();
      }
    });
  });

  describe("what managers are told, and what clients are", () => {
    test("of the client only what nginx itself knows; the page's origin stays what it was", async () => {
      const one = await upstream();
      const nginx = await before([one.port]);
      const forged = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "evil.example",
        forwarded: "for=6.6.6.6",
        "x-muster-peer": "forged",
        connection: "close, authorization",
        authorization: "Bearer mst_x",
        "idempotency-key": "k1",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      };
      await nginx.call("POST", "/tasks?x=1", { headers: forged, body: "{}" });
      const { headers, path } = one.asked[0] as Upstream["asked"][number];
      expect(path).toBe("/tasks?x=1");
      expect(headers).toMatchObject({
        host: new URL(nginx.url).host,
        "x-forwarded-for": expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
        "x-forwarded-proto": "https",
        "x-forwarded-host": new URL(nginx.url).host,
        authorization: "Bearer mst_x",
        "idempotency-key": "k1",
        traceparent: forged.traceparent,
      });
      expect(headers).not.toHaveProperty("forwarded");
      expect(headers).not.toHaveProperty("x-muster-peer");
      await until("the line in nginx's log", () => / POST "\/tasks" 200 /.test(nginx.accessLog));
    });

    test("each security header once, as the API has it", async () => {
      const one = await upstream();
      const nginx = await before([one.port]);
      const answer = await nginx.call("GET", "/tasks");
      for (const [name, value] of Object.entries(baseHeaders(true)))
        expect(
          answer.headers.filter(([known]) => known === name).map(([, text]) => text),
          name,
        ).toEqual([value]);
      expect(answer.header("server")).toBe("nginx");
    });

    test("what managers ask each other is not to be had", async () => {
      const one = await upstream();
      const nginx = await before([one.port]);
      for (const path of ["/peers/ask", "/peers/view", "//peers/ask", "/x/../peers/ask"]) {
        const answer = await nginx.call("POST", path, { body: "{}" });
        expect(answer.status, path).toBe(404);
        expect(answer.json()).toMatchObject({ code: "not-found" });
      }
      expect(one.asked).toEqual([]);
    });

    test("connections to managers are used again", async () => {
      const one = await upstream();
      const nginx = await before([one.port]);
      for (let n = 0; n < 60; n += 1)
        expect((await nginx.call(n % 2 === 0 ? "GET" : "POST", "/tasks", { body: "{}" })).status).toBe(200);
      expect(one.asked).toHaveLength(60);
      // One for each of nginx's two processes, and now and then another.
      expect(one.connections).toBeLessThanOrEqual(6);
    });
  });

  test("plain http is sent to https; TLS is 1.2 or 1.3, and HTTP/2 is offered", async () => {
    const one = await upstream();
    const nginx = await before([one.port]);
    const redirected = await nginx.plain("/runs?state=queued");
    expect(redirected.status).toBe(308);
    expect(redirected.header("location")).toBe("https://localhost/runs?state=queued");
    expect(one.asked).toEqual([]);
    const spoken = async (version: "TLSv1.2" | "TLSv1.3"): Promise<string> =>
      await new Promise((resolve, reject) => {
        const socket = connectTls({
          port: Number(new URL(nginx.url).port),
          host: "127.0.0.1",
          servername: "localhost",
          ca: readFileSync(nginx.caFile),
          minVersion: version,
          maxVersion: version,
          ALPNProtocols: ["h2", "http/1.1"],
        });
        socket.once("error", reject);
        socket.once("secureConnect", () => {
          resolve(`${socket.getProtocol()} ${socket.alpnProtocol}`);
          socket.destroy();
        });
      });
    expect(await spoken("TLSv1.2")).toBe("TLSv1.2 h2");
    expect(await spoken("TLSv1.3")).toBe("TLSv1.3 h2");
  });
});
