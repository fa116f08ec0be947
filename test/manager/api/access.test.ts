import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { apiLimits } from "../../../schema/limits.ts";
import { routes } from "../../../manager/api/routes.ts";
import { StoreError } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { problemIn, rig, token, type Rig } from "./kit.ts";
import { taskOf } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
});

/** DESIGN: what is open without a token. */
const open = ["GET /docs", "GET /health", "GET /livez", "GET /openapi.json", "GET /readyz", "POST /session"];

describe("without a token", () => {
  test("the open routes are these", () => {
    expect(
      routes
        .filter(({ spec }) => spec.permission === "open")
        .map(({ spec }) => `${spec.method.toUpperCase()} ${spec.path}`)
        .toSorted(),
    ).toEqual(open);
  });

  test.each(routes.map(({ spec }) => [`${spec.method.toUpperCase()} ${spec.path}`, spec] as const))("%s", async (name, spec) => {
    const path = spec.path.replaceAll("{sha256}", "0".repeat(64)).replaceAll(/\{\w+\}/g, "x1");
    for (const headers of [
      {},
      { authorization: "Bearer wrong" },
      { authorization: "Basic YTpi" },
      { authorization: `Bearer ${token}x` },
      { cookie: "muster_session=none" },
    ]) {
      const response = await r.call(spec.method.toUpperCase(), path, {
        bare: true,
        headers: { "content-type": "application/json", ...headers },
        ...(spec.method === "get" ? {} : { body: "{}" }),
      });
      if (open.includes(name)) expect(response.status).not.toBe(401);
      else {
        expect(response.status).toBe(401);
        expect((await problemIn(response)).code).toBe("unauthorized");
        expect(response.headers.get("www-authenticate")).toContain("Bearer");
      }
    }
    expect(r.plane.asked).toHaveLength(0);
  });

  test("what does not exist tells strangers only that a token is needed", async () => {
    for (const path of ["/", "/nothing", "/metrics", "/tasks/a/b/c", "/.env"])
      expect((await r.call("GET", path, { bare: true })).status).toBe(401);
    expect((await r.call("POST", "/health", { bare: true })).status).toBe(401);
  });
});

test("a token in the address is refused, a good one too", async () => {
  for (const name of ["token", "access_token", "api_key"]) {
    expect((await r.call("GET", `/tasks?${name}=${token}`, { bare: true })).status).toBe(401);
    expect((await r.call("GET", `/tasks?limit=1&${name}=${token}`)).status).toBe(401);
  }
});

test("a token is revoked at once", async () => {
  expect((await r.call("GET", "/tasks")).status).toBe(200);
  r.tokens.clear();
  expect((await r.call("GET", "/tasks")).status).toBe(401);
});

test("with a token, unknown paths are 404 and wrong methods 405 with Allow", async () => {
  const missing = await r.call("GET", "/nothing");
  expect(missing.status).toBe(404);
  expect((await problemIn(missing)).code).toBe("not-found");
  const wrong = await r.call("DELETE", "/runs/r1");
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get("allow")).toBe("GET, HEAD");
  expect((await r.call("OPTIONS", "/tasks/t1")).headers.get("allow")).toBe("DELETE, GET, HEAD, PATCH, PUT");
  expect((await r.call("HEAD", "/tasks/t1/start")).status).toBe(405);
});

test("every answer carries the headers that keep browsers from doing more with it", async () => {
  for (const path of ["/livez", "/nothing", "/tasks", "/docs"]) {
    const { headers } = await r.call("GET", path);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("x-request-id")).toBeTruthy();
    expect(headers.get("strict-transport-security")).toBeNull();
  }
  const secure = await rig({ publicUrl: "https://muster.example" });
  expect((await secure.call("GET", "/livez")).headers.get("strict-transport-security")).toContain("max-age=31536000");
});

describe("sessions", () => {
  const signIn = async (headers: Record<string, string> = {}): Promise<string> => {
    const response = await r.call("POST", "/session", { bare: true, body: { token }, headers });
    expect(response.status).toBe(201);
    const cookie = response.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict/);
    return cookie.split(";", 1)[0] as string;
  };

  test("a posted token gives a cookie that reads, and writes from our own pages only", async () => {
    const cookie = await signIn();
    expect(cookie).toMatch(/^muster_session=/);
    expect(cookie).not.toContain(token);
    expect((await r.call("GET", "/tasks", { bare: true, headers: { cookie } })).status).toBe(200);
    const post = (headers: Record<string, string>): Promise<Response> =>
      r.call("POST", "/tasks/t1/stop", { bare: true, headers: { cookie, ...headers } });
    r.plane.answer = () => ({ kind: "stopping", runs: 0 });
    expect((await post({})).status).toBe(403);
    expect((await post({ origin: "https://evil.example" })).status).toBe(403);
    expect((await post({ origin: "null" })).status).toBe(403);
    expect((await post({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await post({ "sec-fetch-site": "same-site", origin: "http://localhost" })).status).toBe(403);
    expect((await post({ "sec-fetch-site": "same-origin" })).status).toBe(202);
    expect((await post({ origin: "http://localhost" })).status).toBe(202);
  });

  const pass = (ms: number): void => {
    r.now.mono += ms;
    r.now.wall += ms;
  };

  test("it ends by sign-out, by idleness, by age, and with its token", async () => {
    const read = async (cookie: string): Promise<number> =>
      (await r.call("GET", "/tasks", { bare: true, headers: { cookie } })).status;
    const out = await signIn();
    const bye = await r.call("DELETE", "/session", { bare: true, headers: { cookie: out, "sec-fetch-site": "same-origin" } });
    expect(bye.status).toBe(204);
    expect(bye.headers.get("set-cookie")).toContain("Max-Age=0");
    expect(await read(out)).toBe(401);

    const idle = await signIn();
    pass(apiLimits.sessionIdleMs - 1);
    expect(await read(idle)).toBe(200);
    pass(apiLimits.sessionIdleMs);
    expect(await read(idle)).toBe(401);

    const old = await signIn();
    const steps = Math.ceil(apiLimits.sessionMs / (apiLimits.sessionIdleMs / 2));
    for (let step = 1; step < steps; step += 1) {
      pass(apiLimits.sessionIdleMs / 2);
      expect(await read(old)).toBe(200);
    }
    pass(apiLimits.sessionIdleMs / 2);
    expect(await read(old)).toBe(401);

    const revoked = await signIn();
    r.tokens.clear();
    expect(await read(revoked)).toBe(401);
  });

  test("with https the cookie is Secure and bound to the host", async () => {
    r = await rig({ publicUrl: "https://muster.example" });
    const response = await r.call("POST", "/session", {
      bare: true,
      body: { token },
      headers: { origin: "https://muster.example" },
    });
    expect(response.headers.get("set-cookie")).toMatch(/^__Host-muster=.*; Path=\/; HttpOnly; SameSite=Strict; .*; Secure$/);
  });

  test("a wrong token is 401, a foreign page 403, and guessing is slowed", async () => {
    expect((await r.call("POST", "/session", { bare: true, body: { token: "wrong" } })).status).toBe(401);
    expect(
      (await r.call("POST", "/session", { bare: true, body: { token }, headers: { origin: "https://evil.example" } })).status,
    ).toBe(403);
    const statuses = new Set<number>();
    for (let tried = 0; tried < apiLimits.sessionPostBurst; tried += 1)
      statuses.add((await r.call("POST", "/session", { bare: true, body: { token: "wrong" } })).status);
    expect(statuses).toEqual(new Set([401, 429]));
  });
});

describe("a stream that is open", () => {
  const opened = async (headers: Record<string, string>): Promise<{ readonly over: () => boolean }> => {
    const response = await r.app.request("/events", { headers: { accept: "text/event-stream", ...headers } });
    expect(response.status).toBe(200);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    let over = false;
    void (async () => {
      while (!(await reader.read()).done);
      over = true;
    })();
    onTestFinished(async () => await reader.cancel());
    return { over: () => over };
  };

  test("ends when its token is revoked, and no other does", async () => {
    r = await rig({ limits: { streamRecheckMs: 5 } });
    r.tokens.set("mst_other", "ben");
    const [mine, other] = [
      await opened({ authorization: `Bearer ${token}` }),
      await opened({ authorization: "Bearer mst_other" }),
    ];
    r.tokens.delete(token);
    await until("the stream to end", () => mine.over());
    expect(other.over()).toBe(false);
    expect(r.app.openStreams()).toBe(1);
  });

  test("ends when its session is signed out, and not because the store cannot say", async () => {
    r = await rig({ limits: { streamRecheckMs: 5 } });
    const signedIn = await r.call("POST", "/session", { bare: true, body: { token } });
    const cookie = (signedIn.headers.get("set-cookie") ?? "").split(";", 1)[0] as string;
    const stream = await opened({ cookie });
    const well = r.store.useSession;
    let asked = 0;
    r.store.useSession = async () => {
      asked += 1;
      throw new StoreError("transient", true, "away");
    };
    r.now.mono += apiLimits.sessionKeptMs;
    await until("the store to be asked in vain", () => asked > 2);
    expect(stream.over()).toBe(false);
    r.store.useSession = well;
    await r.call("DELETE", "/session", { bare: true, headers: { cookie, "sec-fetch-site": "same-origin" } });
    await until("the stream to end", () => stream.over());
  });
});

test("a token that asks too fast gets 429 and how long to wait; others are not disturbed", async () => {
  r = await rig({ limits: { requestsPerSecondPerToken: 2, requestBurstPerToken: 3 } });
  r.tokens.set("other", "ben");
  for (let asked = 0; asked < 3; asked += 1) expect((await r.call("GET", "/tasks")).status).toBe(200);
  const refused = await r.call("GET", "/tasks");
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect((await r.call("GET", "/tasks", { headers: { authorization: "Bearer other" } })).status).toBe(200);
  r.now.mono += 500;
  expect((await r.call("GET", "/tasks")).status).toBe(200);
});

test("each request is one line that says who, what, how long and how it went, and never a token", async () => {
  await r.call("POST", "/tasks", { body: { nonsense: 1 } });
  await r.call("GET", "/runs/r9?waitSeconds=0");
  const [first, second] = r.lines;
  expect(first).toMatchObject({
    method: "POST",
    route: "/tasks",
    status: 400,
    outcome: "malformed",
    tokenName: "ana",
    durationMs: 0,
  });
  expect(second).toMatchObject({ method: "GET", route: "/runs/{id}", status: 404, outcome: "not-found", runId: "r9" });
  expect(first?.["requestId"]).not.toBe(second?.["requestId"]);
  expect(JSON.stringify(r.lines)).not.toContain(token);
});

test("a bug of ours is a 500 that tells nothing but the request's id; the log has the reason", async () => {
  r.plane.answer = () => {
    throw new Error("secret internals at /etc/passwd");
  };
  const response = await r.call("POST", "/tasks", { body: taskOf() });
  expect(response.status).toBe(500);
  const body = await response.clone().text();
  expect(body).not.toContain("secret");
  const { code, requestId } = await problemIn(response);
  expect(code).toBe("internal");
  expect(requestId).toBe(response.headers.get("x-request-id"));
  expect(
    r.lines.some((line) => line["requestId"] === requestId && (line["err"] as Error | undefined)?.message.includes("secret")),
  ).toBe(true);
});
