import { beforeEach, describe, expect, test } from "vitest";
import type { RunSummary } from "../../../schema/run.ts";
import type { StartItem } from "../../../manager/control/inputs.ts";
import type { ItemOutcome } from "../../../manager/control/outputs.ts";
import { problemIn, refuse, rig, type Rig } from "./kit.ts";
import { runRow, taskRow } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
  const start = (item: StartItem): ItemOutcome => ({
    ok: true,
    run: runRow({ id: item.runId, taskId: item.taskId, params: item.params, trace: item.trace }),
    repeated: false,
  });
  r.plane.answer = (_, request) => {
    if (request.kind === "startRun")
      return {
        kind: "run",
        run: runRow({ id: request.item.runId, taskId: request.item.taskId, trace: request.item.trace }),
        repeated: false,
      };
    if (request.kind === "rerun")
      return { kind: "run", run: runRow({ id: request.runId, rerunOf: request.of }), repeated: false };
    if (request.kind === "startRuns") {
      return {
        kind: "runs",
        items: request.items.map((item) =>
          item.taskId === "bad" ? { ok: false, problem: { code: "impossible", detail: "no" } } : start(item),
        ),
      };
    }
    throw new Error(request.kind);
  };
});

function started(at = 0): StartItem {
  const request = r.plane.asked[at]?.request;
  if (request?.kind !== "startRun") throw new Error("nothing was started");
  return request.item;
}

describe("POST /tasks/{id}/start", () => {
  test("answers 202 with the run and its place, and reads nothing from the store in a lone pool", async () => {
    let reads = 0;
    Object.assign(r.store, { task: async () => ((reads += 1), null) });
    const response = await r.call("POST", "/tasks/t1/start", {
      body: { params: { city: "Ostrava" }, workerId: "w1", labels: { a: "b" }, reason: "because" },
    });
    expect(response.status).toBe(202);
    const run = (await response.json()) as RunSummary;
    expect(response.headers.get("location")).toBe(`/runs/${run.id}`);
    expect(run).toMatchObject({ taskId: "t1", state: "queued", reason: `why ${run.id} waits` });
    expect(started()).toMatchObject({
      taskId: "t1",
      runId: run.id,
      mayExist: false,
      params: { city: "Ostrava" },
      workerId: "w1",
      labels: { a: "b" },
      idempotencyKey: null,
    });
    expect(r.plane.asked[0]?.request).toMatchObject({ by: "ana", byReason: "because" });
    expect(reads).toBe(0);
  });

  test("needs no body, continues a valid trace and ignores an invalid one", async () => {
    const trace = `00-${"4b".repeat(16)}-${"1f".repeat(8)}-01`;
    expect((await r.call("POST", "/tasks/t1/start", { headers: { traceparent: trace } })).status).toBe(202);
    expect(started().trace).toBe(trace);
    await r.call("POST", "/tasks/t1/start", { headers: { traceparent: "00-nonsense" } });
    await r.call("POST", "/tasks/t1/start");
    expect(started(1).trace).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(started(2).trace).not.toBe(started(1).trace);
  });

  test("passes a key on with a hash that knows the body but not the order of its fields", async () => {
    const headers = { "idempotency-key": "my-key" };
    await r.call("POST", "/tasks/t1/start", { body: { params: { a: "1", b: "2" } }, headers });
    await r.call("POST", "/tasks/t1/start", { body: { labels: {}, params: { b: "2", a: "1" } }, headers });
    await r.call("POST", "/tasks/t1/start", { body: { params: { a: "1", b: "3" } }, headers });
    expect(started(0)).toMatchObject({ idempotencyKey: "my-key", mayExist: false });
    expect(started(0).bodyHash).toMatch(/^[0-9a-f]{64}$/);
    expect(started(1).bodyHash).toBe(started(0).bodyHash);
    expect(started(2).bodyHash).not.toBe(started(0).bodyHash);
    for (const key of ["", "a b", "x".repeat(129)]) {
      const response = await r.call("POST", "/tasks/t1/start", { headers: { "idempotency-key": key } });
      expect(response.status).toBe(400);
      expect((await problemIn(response)).errors?.[0]?.at).toBe("Idempotency-Key");
    }
  });

  test("an unknown outcome carries a key, and the key names the run that may exist", async () => {
    const inner = r.plane.answer;
    r.plane.answer = () => {
      throw refuse("outcome-unknown", "the leader went away", { retryAfterSeconds: 3 });
    };
    const response = await r.call("POST", "/tasks/t1/start");
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("3");
    const { code, idempotencyKey } = await problemIn(response);
    expect(code).toBe("outcome-unknown");
    expect(idempotencyKey).toBe(`run.${started(0).runId}`);
    const own = await r.call("POST", "/tasks/t1/start", { headers: { "idempotency-key": "mine" } });
    expect((await problemIn(own)).idempotencyKey).toBe("mine");
    r.plane.answer = inner;
    const again = await r.call("POST", "/tasks/t1/start", { headers: { "idempotency-key": idempotencyKey as string } });
    expect(((await again.json()) as RunSummary).id).toBe(started(0).runId);
    expect(started(2)).toMatchObject({ runId: started(0).runId, mayExist: true, idempotencyKey: null });
  });

  test.each([
    ["key-reused", 422],
    ["impossible", 422],
    ["in-flight", 409],
    ["too-many", 429],
    ["not-taken", 503],
    ["not-found", 404],
  ] as const)("%s of the plane is %i", async (code, status) => {
    r.plane.answer = () => {
      throw refuse(code, "no", { retryAfterSeconds: 7 });
    };
    const response = await r.call("POST", "/tasks/t1/start");
    expect(response.status).toBe(status);
    expect((await problemIn(response)).code).toBe(code);
    expect(response.headers.get("retry-after")).toBe(status === 429 || status === 503 ? "7" : null);
  });

  test("finds the pool of the task where there are several", async () => {
    r.plane.pools = ["default", "edge"];
    await r.commit({ op: "insertTask", row: taskRow({ id: "t2", pool: "edge", name: "far" }) });
    expect((await r.call("POST", "/tasks/t2/start")).status).toBe(202);
    expect(r.plane.asked[0]?.pool).toBe("edge");
    expect((await r.call("POST", "/tasks/none/start")).status).toBe(404);
  });
});

describe("POST /runs", () => {
  test("answers each item in order", async () => {
    const response = await r.call("POST", "/runs", {
      body: {
        items: [{ taskId: "t1", params: { a: "1" }, idempotencyKey: "k1" }, { taskId: "bad" }, { taskId: "t3" }],
        reason: "bulk",
      },
    });
    expect(response.status).toBe(200);
    const { items } = (await response.json()) as { items: { status: number; run?: RunSummary; problem?: { code: string } }[] };
    expect(items.map(({ status }) => status)).toEqual([202, 422, 202]);
    expect(items[0]?.run?.taskId).toBe("t1");
    expect(items[1]?.problem?.code).toBe("impossible");
    expect(r.plane.asked).toHaveLength(1);
    expect(r.plane.asked[0]?.request).toMatchObject({
      kind: "startRuns",
      by: "ana",
      byReason: "bulk",
      items: [{ idempotencyKey: "k1" }, {}, {}],
    });
  });

  test("refuses none and more than a thousand, and names the item that is wrong", async () => {
    expect((await r.call("POST", "/runs", { body: { items: [] } })).status).toBe(400);
    expect(
      (await r.call("POST", "/runs", { body: { items: Array.from({ length: 1_001 }, () => ({ taskId: "t1" })) } })).status,
    ).toBe(400);
    expect(
      (await r.call("POST", "/runs", { body: { items: Array.from({ length: 1_000 }, () => ({ taskId: "t1" })) } })).status,
    ).toBe(200);
    const response = await r.call("POST", "/runs", { body: { items: [{ taskId: "t1" }, { taskId: "a/b", x: 1 }] } });
    expect((await problemIn(response)).errors?.map(({ at }) => at).toSorted()).toEqual(["/items/1/taskId", "/items/1/x"]);
  });

  test("an unknown outcome gives every item its key", async () => {
    r.plane.answer = () => {
      throw refuse("outcome-unknown", "the leader went away");
    };
    const response = await r.call("POST", "/runs", {
      body: { items: [{ taskId: "t1", idempotencyKey: "mine" }, { taskId: "t1" }] },
    });
    expect(response.status).toBe(503);
    const { idempotencyKeys } = await problemIn(response);
    expect(idempotencyKeys?.[0]).toBe("mine");
    expect(idempotencyKeys?.[1]).toMatch(/^run\.[A-Za-z0-9_-]{22}$/);
  });

  test("goes to every pool at once; the failure of one is that of its items", async () => {
    r.plane.pools = ["default", "edge"];
    await r.commit(
      { op: "insertTask", row: taskRow({ id: "t1" }) },
      { op: "insertTask", row: taskRow({ id: "t2", pool: "edge", name: "far" }) },
    );
    const inner = r.plane.answer;
    r.plane.answer = (pool, request) => {
      if (pool === "edge") throw refuse("outcome-unknown", "gone");
      return inner(pool, request);
    };
    const response = await r.call("POST", "/runs", { body: { items: [{ taskId: "t2" }, { taskId: "t1" }, { taskId: "none" }] } });
    const { items } = (await response.json()) as { items: { status: number; problem?: { idempotencyKey?: string } }[] };
    expect(items.map(({ status }) => status)).toEqual([503, 202, 404]);
    expect(items[0]?.problem?.idempotencyKey).toMatch(/^run\./);
  });
});

describe("POST /runs/{id}/rerun", () => {
  test("is a new run with rerunOf", async () => {
    const response = await r.call("POST", "/runs/r1/rerun", { body: { reason: "again" } });
    expect(response.status).toBe(202);
    const run = (await response.json()) as RunSummary;
    expect(run.rerunOf).toBe("r1");
    expect(run.id).not.toBe("r1");
    expect(response.headers.get("location")).toBe(`/runs/${run.id}`);
    expect(r.plane.asked[0]?.request).toMatchObject({ kind: "rerun", of: "r1", by: "ana", byReason: "again" });
  });

  test("repeated with the key of an unknown outcome it gives the run that was made", async () => {
    r.plane.answer = () => {
      throw refuse("outcome-unknown", "gone");
    };
    const { idempotencyKey } = await problemIn(await r.call("POST", "/runs/r1/rerun"));
    const made = (idempotencyKey as string).slice("run.".length);
    await r.commit({ op: "insertRun", row: runRow({ id: made, rerunOf: "r1" }) });
    const again = await r.call("POST", "/runs/r1/rerun", { headers: { "idempotency-key": idempotencyKey as string } });
    expect(again.status).toBe(202);
    expect(((await again.json()) as RunSummary).id).toBe(made);
    expect(r.plane.asked).toHaveLength(1);
  });
});
