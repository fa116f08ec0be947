import { expect, test } from "vitest";
import { problemIn, rig } from "./kit.ts";

test("metrics need a token, come in the format that is asked for, and take no parameters", async () => {
  const { call } = await rig();
  expect((await problemIn(await call("GET", "/metrics", { bare: true }))).code).toBe("unauthorized");
  const prometheus =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  for (const [accept, type] of [
    [undefined, "text/plain"],
    ["*/*", "text/plain"],
    [prometheus, "application/openmetrics-text"],
    ["text/plain;version=0.0.4", "text/plain"],
  ] as const) {
    const answer = await call("GET", "/metrics", { headers: accept === undefined ? {} : { accept } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe(`${type}; charset=utf-8`);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  }
  expect((await problemIn(await call("GET", "/metrics", { headers: { accept: "application/json" } }))).code).toBe(
    "not-acceptable",
  );
  expect((await problemIn(await call("GET", "/metrics?pool=a"))).code).toBe("malformed");
  expect((await problemIn(await call("POST", "/metrics"))).code).toBe("method-not-allowed");
});

test("each answer is told once, by its route's pattern: also refusals, strangers' and those of no route", async () => {
  const told: unknown[] = [];
  const { call } = await rig({ answered: (answer) => told.push({ ...answer, durationMs: answer.durationMs >= 0 }) });
  await call("GET", "/runs/abc");
  await call("GET", "/runs/abc", { bare: true });
  await call("GET", "/nothing/here");
  await call("HEAD", "/livez");
  const reading = await call("GET", "/events", { headers: { accept: "text/event-stream" } });
  await reading.body?.cancel();
  const one = { method: "GET", durationMs: true, streamed: false };
  expect(told).toEqual([
    { ...one, pattern: "/runs/{id}", status: 404 },
    { ...one, pattern: "/runs/{id}", status: 401 },
    { ...one, pattern: "none", status: 404 },
    { ...one, method: "HEAD", pattern: "/livez", status: 200 },
    { ...one, pattern: "/events", status: 200, streamed: true },
  ]);
});

test("open streams are counted while they are open", async () => {
  const { app, call } = await rig();
  const follow = () => call("GET", "/events", { headers: { accept: "text/event-stream" } });
  const [first, second] = [await follow(), await follow()];
  expect(app.openStreams()).toBe(2);
  await first.body?.cancel();
  expect(app.openStreams()).toBe(1);
  await second.body?.cancel();
  expect(app.openStreams()).toBe(0);
});
