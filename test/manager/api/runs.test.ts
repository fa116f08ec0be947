import { beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../schema/digest.ts";
import type { RunView } from "../../../schema/run.ts";
import { problemIn, refuse, rig, type Rig } from "./kit.ts";
import { attemptRow, eventRow, runRow } from "./rows.ts";
import { until } from "../../kit/until.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
});

async function listed(path: string): Promise<string[]> {
  const response = await r.call("GET", path);
  expect(response.status).toBe(200);
  return ((await response.json()) as { items: { id: string }[] }).items.map(({ id }) => id);
}

describe("GET /runs", () => {
  beforeEach(async () => {
    await r.commit(
      {
        op: "insertRun",
        row: runRow({
          id: "r1",
          order: 1,
          createdAt: 1_000,
          labels: { team: "a" },
          state: "succeeded",
          end: { how: "exited", code: 0 },
          workerId: "w1",
        }),
      },
      { op: "insertRun", row: runRow({ id: "r2", order: 2, createdAt: 2_000, taskId: "t2" }) },
      {
        op: "insertRun",
        row: runRow({ id: "r3", order: 3, createdAt: 3_000, state: "failed", end: { how: "exited", code: 3 } }),
      },
    );
  });

  test("newest first, by every filter", async () => {
    expect(await listed("/runs")).toEqual(["r3", "r2", "r1"]);
    expect(await listed("/runs?taskId=t2")).toEqual(["r2"]);
    expect(await listed("/runs?workerId=w1")).toEqual(["r1"]);
    expect(await listed("/runs?state=succeeded,failed")).toEqual(["r3", "r1"]);
    expect(await listed("/runs?label=team=a")).toEqual(["r1"]);
    expect(await listed("/runs?since=1970-01-01T00:00:02Z")).toEqual(["r3", "r2"]);
    expect(await listed("/runs?until=1970-01-01T01:00:02%2B01:00")).toEqual(["r1"]);
    expect(await listed("/runs?pool=default&limit=1")).toEqual(["r3"]);
  });

  test("pages to the end by the cursor", async () => {
    const seen: string[] = [];
    let next: string | null = "";
    while (next !== null) {
      const response = await r.call("GET", `/runs?limit=2${next === "" ? "" : `&cursor=${encodeURIComponent(next)}`}`);
      const page = (await response.json()) as { items: { id: string }[]; next: string | null };
      seen.push(...page.items.map(({ id }) => id));
      next = page.next;
    }
    expect(seen).toEqual(["r3", "r2", "r1"]);
  });

  test("says why: the end's sentence for what ended, the plane's for what waits", async () => {
    const { items } = (await (await r.call("GET", "/runs")).json()) as { items: { reason: string }[] };
    expect(items.map(({ reason }) => reason)).toEqual(["exited 3", "why r2 waits", "exited 0"]);
  });

  test.each([
    "/runs?state=done",
    "/runs?state=",
    "/runs?since=yesterday",
    "/runs?until=2026-13-01T00:00:00Z",
    "/runs?taskId=a%20b",
    "/runs?cursor=nonsense",
    "/runs?offset=1",
  ])("%s is 400", async (path) => {
    const response = await r.call("GET", path);
    expect(response.status).toBe(400);
    await problemIn(response);
  });
});

describe("GET /runs/{id}", () => {
  test("shows attempts in order, the result as it is, and 404 for what is not there", async () => {
    await r.commit(
      { op: "insertRun", row: runRow({ state: "succeeded", result: '{"lines":3,"deep":{"a":[1]}}', params: { a: "b" } }) },
      { op: "insertAttempt", row: attemptRow({ id: "a2", number: 2, state: "ended", end: { how: "exited", code: 0 } }) },
      { op: "insertAttempt", row: attemptRow({ id: "a1", number: 1, state: "ended", end: { how: "refused", why: "full" } }) },
    );
    const run = (await (await r.call("GET", "/runs/r1")).json()) as RunView;
    expect(run.attempts.map(({ number }) => number)).toEqual([1, 2]);
    expect(run.attempts[1]).toMatchObject({
      workerId: "w1",
      pid: 42,
      end: { how: "exited", code: 0 },
      startedAt: "1970-01-01T00:00:01.100Z",
    });
    expect(run).toMatchObject({ result: { lines: 3, deep: { a: [1] } }, params: { a: "b" }, traceId: "a".repeat(32) });
    expect((await r.call("GET", "/runs/none")).status).toBe(404);
    expect((await r.call("GET", "/runs/a%2Fb")).status).toBe(400);
  });

  test("gives a large result from its body", async () => {
    const text = JSON.stringify({ big: "x".repeat(100_000) });
    await r.store.putBody(sha256Hex(text), Buffer.from(text));
    await r.commit({ op: "insertRun", row: runRow({ resultBody: { sha256: sha256Hex(text), size: text.length } }) });
    const run = (await (await r.call("GET", "/runs/r1")).json()) as RunView;
    expect(run.result).toEqual(JSON.parse(text));
  });

  test("waits for the end, and is woken by it", async () => {
    await r.commit({ op: "insertRun", row: runRow({ state: "running" }) });
    let answered = false;
    let reads = 0;
    const read = r.store.run.bind(r.store);
    Object.assign(r.store, {
      run: async (id: string) => {
        const found = await read(id);
        reads += 1;
        return found;
      },
    });
    const waiting = r.call("GET", "/runs/r1?waitSeconds=60").then(async (response) => {
      answered = true;
      return (await response.json()) as RunView;
    });
    await until("the request to have read the run", () => reads === 1);
    r.plane.emit(eventRow(1, { kind: "runProgress" }), eventRow(2, { kind: "runEnded", runId: "other" }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    await r.commit({ op: "updateRun", id: "r1", set: { state: "succeeded", end: { how: "exited", code: 0 } } });
    r.plane.emit(eventRow(3, { kind: "runEnded" }));
    expect((await waiting).state).toBe("succeeded");
  });

  test("does not miss an end between listening and reading", async () => {
    await r.commit({ op: "insertRun", row: runRow({ state: "running" }) });
    const read = r.store.run.bind(r.store);
    let reads = 0;
    Object.assign(r.store, {
      run: async (id: string) => {
        const found = await read(id);
        reads += 1;
        if (reads === 1) {
          // The end is committed and told after this read and before the waiting begins.
          await r.commit({ op: "updateRun", id: "r1", set: { state: "failed", end: { how: "exited", code: 1 } } });
          r.plane.emit(eventRow(1, { kind: "runEnded" }));
        }
        return found;
      },
    });
    const run = (await (await r.call("GET", "/runs/r1?waitSeconds=60")).json()) as RunView;
    expect(run.state).toBe("failed");
  });

  test("answers when the time is up, and lets go when the client leaves", async () => {
    await r.commit({ op: "insertRun", row: runRow({ state: "running" }) });
    const run = (await (await r.call("GET", "/runs/r1?waitSeconds=1")).json()) as RunView;
    expect(run.state).toBe("running");
    const leave = new AbortController();
    const waiting = r.call("GET", "/runs/r1?waitSeconds=60", { signal: leave.signal });
    setImmediate(() => leave.abort());
    expect((await waiting).status).toBe(200);
    expect((await r.call("GET", "/runs/r1?waitSeconds=61")).status).toBe(400);
  });
});

describe("stop and signal", () => {
  test("a stop is 202 while it goes on and 200 when it had ended", async () => {
    r.plane.answer = () => ({ kind: "run", run: runRow({ state: "stopping" }), repeated: false });
    expect((await r.call("POST", "/runs/r1/stop", { body: { graceSeconds: 0, reason: "x" } })).status).toBe(202);
    expect(r.plane.asked[0]?.request).toEqual({ kind: "stopRun", runId: "r1", graceSeconds: 0, by: "ana", byReason: "x" });
    r.plane.answer = () => ({
      kind: "run",
      run: runRow({ state: "succeeded", end: { how: "exited", code: 0 } }),
      repeated: false,
    });
    const done = await r.call("POST", "/runs/r1/stop");
    expect(done.status).toBe(200);
    expect(await done.json()).toMatchObject({ state: "succeeded" });
    expect((await r.call("POST", "/runs/r1/stop", { body: { grace: 1 } })).status).toBe(400);
  });

  test("a signal needs a signal's name; what does not run cannot have one", async () => {
    r.plane.answer = () => ({ kind: "run", run: runRow({ state: "running" }), repeated: false });
    expect((await r.call("POST", "/runs/r1/signal", { body: { signal: "SIGUSR1" } })).status).toBe(202);
    expect(r.plane.asked[0]?.request).toMatchObject({ kind: "signalRun", runId: "r1", signal: "SIGUSR1" });
    for (const body of [{ signal: "USR1" }, { signal: "SIGUSR1; rm" }, { signal: "SIGFOO" }, {}, undefined])
      expect((await r.call("POST", "/runs/r1/signal", body ? { body } : {})).status).toBe(400);
    r.plane.answer = () => {
      throw refuse("impossible", "it does not run");
    };
    expect((await r.call("POST", "/runs/r1/signal", { body: { signal: "SIGHUP" } })).status).toBe(422);
  });
});
