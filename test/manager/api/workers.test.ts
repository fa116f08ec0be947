import { beforeEach, expect, test } from "vitest";
import type { WorkerView } from "../../../schema/worker.ts";
import type { Outcome } from "../../../manager/control/outputs.ts";
import { problemIn, refuse, rig, type Rig } from "./kit.ts";
import { workerRow } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
  await r.commit(
    {
      op: "insertWorker",
      row: workerRow({ id: "w1", ownLabels: { zone: "a", disk: "ssd" }, apiLabels: { zone: "b" }, lastSeenAt: 5_000 }),
    },
    { op: "insertWorker", row: workerRow({ id: "w2", state: "draining" }) },
  );
  r.plane.answer = async (_, request): Promise<Outcome> => {
    if (!("workerId" in request)) throw new Error(request.kind);
    const worker = await r.store.worker(request.workerId);
    if (!worker) throw refuse("not-found", "no worker");
    return { kind: "worker", worker: request.kind === "labelWorker" ? { ...worker, apiLabels: request.labels } : worker };
  };
});

test("the list is filtered and shows labels overlaid", async () => {
  const ids = async (query: string): Promise<string[]> =>
    ((await (await r.call("GET", `/workers${query}`)).json()) as { items: WorkerView[] }).items.map(({ id }) => id);
  expect((await ids("")).toSorted()).toEqual(["w1", "w2"]);
  expect(await ids("?state=draining,lost")).toEqual(["w2"]);
  expect(await ids("?label=zone=b&pool=default")).toEqual(["w1"]);
  expect((await r.call("GET", "/workers?state=sleeping")).status).toBe(400);
});

test("a worker is the stored row overlaid by what the leader knows", async () => {
  const still = (await (await r.call("GET", "/workers/w1")).json()) as WorkerView;
  expect(still).toMatchObject({
    labels: { zone: "b", disk: "ssd" },
    used: { slots: 0 },
    attempts: 0,
    lastSeenAt: "1970-01-01T00:00:05.000Z",
    clockAheadMs: null,
    heartbeatSeconds: 10,
    reason: null,
  });
  r.plane.live["w1"] = {
    used: { slots: 3, memoryMb: 64, cpus: 1 },
    load: { cpu: 0.5, memoryMb: 10 },
    attempts: 3,
    lastSeenWall: 9_000,
    clockAhead: { least: -20, most: 5 },
    heartbeatMs: 2_000,
    reason: "no heartbeat for 25 s",
  };
  const live = (await (await r.call("GET", "/workers/w1")).json()) as WorkerView;
  expect(live).toMatchObject({
    used: { slots: 3 },
    attempts: 3,
    lastSeenAt: "1970-01-01T00:00:09.000Z",
    clockAheadMs: { least: -20, most: 5 },
    heartbeatSeconds: 2,
    reason: "no heartbeat for 25 s",
  });
  expect((await r.call("GET", "/workers/none")).status).toBe(404);
});

test("PATCH merges labels; null takes one away so that the worker's own shows again", async () => {
  const response = await r.call("PATCH", "/workers/w1", { body: { labels: { zone: null, gpu: "yes" }, reason: "moved" } });
  expect(((await response.json()) as WorkerView).labels).toEqual({ zone: "a", disk: "ssd", gpu: "yes" });
  expect(r.plane.asked[0]?.request).toEqual({
    kind: "labelWorker",
    workerId: "w1",
    labels: { gpu: "yes" },
    by: "ana",
    byReason: "moved",
  });
  for (const body of [{ labels: { "-bad": "x" } }, { labels: { a: 1 } }, { pool: "x" }, {}])
    expect((await r.call("PATCH", "/workers/w1", { body })).status).toBe(400);
  expect((await r.call("PATCH", "/workers/none", { body: { labels: {} } })).status).toBe(404);
});

test("DELETE is 204, and 409 with live attempts", async () => {
  expect((await r.call("DELETE", "/workers/w1?stop=true&reason=gone")).status).toBe(204);
  expect(r.plane.asked[0]?.request).toEqual({ kind: "deleteWorker", workerId: "w1", stop: true, by: "ana", byReason: "gone" });
  r.plane.answer = () => {
    throw refuse("live-runs", "2 attempts live on it; add ?stop=true");
  };
  const refused = await r.call("DELETE", "/workers/w1");
  expect(refused.status).toBe(409);
  expect((await problemIn(refused)).code).toBe("live-runs");
  expect((await r.call("DELETE", "/workers/none")).status).toBe(404);
});

test.each([
  ["drain", true],
  ["undrain", false],
])("POST %s", async (verb, on) => {
  expect((await r.call("POST", `/workers/w1/${verb}`, { body: { reason: "disks" } })).status).toBe(200);
  expect(r.plane.asked[0]?.request).toEqual({ kind: "drainWorker", workerId: "w1", on, by: "ana", byReason: "disks" });
  expect((await r.call("POST", `/workers/w1/${verb}`)).status).toBe(200);
  expect((await r.call("POST", `/workers/none/${verb}`)).status).toBe(404);
});
