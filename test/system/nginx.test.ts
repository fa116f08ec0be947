import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileCache } from "../kit/compile-cache.ts";
import type { BrokerServer } from "../kit/broker-server.ts";
import { mariadbMissing, MariadbServer } from "../kit/mariadb.ts";
import { Managers } from "../kit/managers.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { Nginx, nginxMissing, type NginxAnswer } from "../kit/nginx.ts";
import { freePorts } from "../kit/ports.ts";
import { until } from "../kit/until.ts";

const root = join(import.meta.dirname, "../..");
const names = ["m1", "m2"] as const;
const missing = mariadbMissing() ?? mosquittoMissing ?? nginxMissing;

/** Two managers on one MariaDB and one Mosquitto, behind the nginx of deploy/nginx; their public address is nginx's. */
describe.skipIf(missing !== undefined)(`two managers behind nginx${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let server: MariadbServer;
  let broker: BrokerServer;
  let fleet: Managers;
  let nginx: Nginx;
  beforeAll(async () => {
    server = await MariadbServer.start();
    broker = await startMosquitto({ workers: ["a"] });
    const ports = await freePorts(2);
    const each = { MUSTER_MANAGER_URL: `https://localhost:${ports[0]}` };
    fleet = await Managers.start({ server, broker }, names, { m1: each, m2: each });
    nginx = await Nginx.before(
      names.map((name) => Number(new URL(fleet.at(name).url).port)),
      [],
      ports,
    );
    await fleet.startWorker("a", { MUSTER_MANAGER_URL: nginx.url, NODE_EXTRA_CA_CERTS: nginx.caFile });
  });
  afterAll(async () => {
    await nginx?.[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
    await broker?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<NginxAnswer> =>
    await nginx.call(method, path, {
      headers: {
        authorization: `Bearer ${fleet.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  /** Without a token, with a cookie. */
  const statusAt = async (name: string, cookie: string): Promise<number> =>
    (await fetch(`${fleet.at(name).url}/tasks`, { headers: { cookie } })).status;

  test("a page that signed in is known whichever manager answers, may change things, and is signed out at all", async () => {
    const origin = { origin: nginx.url, "sec-fetch-site": "same-origin", "content-type": "application/json" };
    const signedIn = await nginx.call("POST", "/session", { headers: origin, body: JSON.stringify({ token: fleet.token }) });
    expect(signedIn.status).toBe(201);
    expect(signedIn.header("set-cookie")).toMatch(/^__Host-muster=[^;]+; Path=\/; HttpOnly; SameSite=Strict; .*Secure$/);
    const cookie = String(signedIn.header("set-cookie")).split(";", 1)[0] ?? "";
    for (const name of names) expect(await statusAt(name, cookie), name).toBe(200);
    for (let n = 0; n < 6; n += 1) {
      const made = await nginx.call("POST", "/tasks", {
        headers: { ...origin, cookie },
        body: JSON.stringify({ name: `by-page-${n}`, run: { driver: "exec", program: "/bin/true" } }),
      });
      expect(made.status, made.text).toBe(201);
    }
    expect((await nginx.call("DELETE", "/session", { headers: { ...origin, cookie } })).status).toBe(204);
    for (const name of names) await until(`${name} to know of the sign-out`, async () => (await statusAt(name, cookie)) === 401);
  });

  test("a token that a command makes is good at both, and revoked at both", async () => {
    const makeToken = async (): Promise<string> => {
      const env = {
        PATH: process.env["PATH"] ?? "",
        ...compileCache,
        MUSTER_DATABASE_URL: fleet.databaseUrl,
        MUSTER_DATA_DIR: join(fleet.folder, "nowhere"),
      };
      return (await promisify(execFile)(process.execPath, [join(root, "scripts/token.ts")], { env })).stdout.trim();
    };
    const statusOf = async (name: string, token: string): Promise<number> =>
      (await fetch(`${fleet.at(name).url}/tasks`, { headers: { authorization: `Bearer ${token}` } })).status;
    const first = await makeToken();
    for (const name of names) await until(`${name} to take the token`, async () => (await statusOf(name, first)) === 200);
    const second = await makeToken();
    for (const name of names) {
      await until(`${name} to take the next`, async () => (await statusOf(name, second)) === 200);
      expect(await statusOf(name, first)).toBe(401);
    }
  });

  test("a worker fetches a script and brings a result through it, and output is followed as it comes", async () => {
    const taskId = (
      await call("POST", "/tasks", { name: "large", run: { driver: "script", interpreter: "sh", script: "exit 1" } })
    ).json().id;
    const result = `echo "\\"$(head -c 200000 /dev/zero | tr '\\0' x)\\"" > "$MUSTER_RESULT"`;
    const script = `echo begun; ${result}; echo over\n${"# padding\n".repeat(300_000)}`;
    const put = await nginx.call("PUT", `/tasks/${taskId}/script`, {
      headers: { authorization: `Bearer ${fleet.token}`, "content-type": "text/plain" },
      body: script,
    });
    expect(put.status, put.text).toBe(200);
    const runId = (await call("POST", `/tasks/${taskId}/start`, {})).json().id;
    const follower = await nginx.follow(`/runs/${runId}/logs?follow=true`, { authorization: `Bearer ${fleet.token}` });
    await until("the whole output", () => follower.text() === "begun\nover\n");
    const ended = await call("GET", `/runs/${runId}?waitSeconds=60`);
    expect(ended.json()).toMatchObject({ state: "succeeded" });
    expect(ended.json().result).toBe("x".repeat(200_000));
  });

  test("one is killed: clients go on by the same address, what they start is started once, and no event is missed", async () => {
    const script = `echo "$MUSTER_RUN_ID" >> ${fleet.witness}`;
    const taskId = (await call("POST", "/tasks", { name: "seen", run: { driver: "script", interpreter: "sh", script } })).json()
      .id;
    const events = readEvents(nginx, fleet.token, taskId);
    const runs: string[] = [];
    const start = async (n: number): Promise<void> => {
      await until(`start ${n} to be taken`, async () => {
        const answer = await call("POST", `/tasks/${taskId}/start`, {}, { "idempotency-key": `start-${n}` });
        if (answer.status === 503) {
          expect(["not-taken", "outcome-unknown"]).toContain(answer.json().code);
          expect(Number(answer.header("retry-after"))).toBeGreaterThan(0);
          return false;
        }
        expect(answer.status, answer.text).toBe(202);
        runs.push(answer.json().id);
        return true;
      });
    };
    for (let n = 0; n < 10; n += 1) await start(n);
    await fleet.kill(await fleet.leader());
    for (let n = 10; n < 40; n += 1) await start(n);
    for (const id of runs) {
      await until(`run ${id} to end`, async () => {
        const answer = await call("GET", `/runs/${id}?waitSeconds=10`);
        return answer.status === 200 && answer.json().state === "succeeded";
      });
    }
    expect(new Set(runs).size).toBe(40);
    expect(fleet.witnessLines().toSorted()).toEqual(runs.toSorted());
    await until("every end to be told", () => runs.every((id) => events.ended().includes(id)));
    expect(events.ended()).toHaveLength(40);
    events.leave();
  });
});

/** Reads a task's ends as a browser would: it comes back where it was when the stream breaks. */
function readEvents(nginx: Nginx, token: string, taskId: string): { ended(): string[]; leave(): void } {
  let left = false;
  let text = "";
  void (async () => {
    while (!left) {
      const last = /(?:^|\n)id: (.+)\n(?![\s\S]*\nid: )/.exec(text)?.[1];
      const before = text;
      const stream = await nginx
        .follow(`/events?taskId=${taskId}`, {
          authorization: `Bearer ${token}`,
          accept: "text/event-stream",
          ...(last === undefined ? {} : { "last-event-id": last }),
        })
        .catch(() => undefined);
      if (!stream) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      while (!left && !stream.over()) {
        // Whole events only: what was cut comes again.
        text = before + stream.text().slice(0, stream.text().lastIndexOf("\n\n") + 2);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      text = before + stream.text().slice(0, stream.text().lastIndexOf("\n\n") + 2);
      stream.leave();
    }
  })();
  return {
    ended: () =>
      text.split("\n\n").flatMap((event) => {
        const data = /\ndata: (.*)$/.exec(event)?.[1];
        return event.includes("\nevent: runEnded\n") && data !== undefined ? [JSON.parse(data).runId as string] : [];
      }),
    leave: () => void (left = true),
  };
}
