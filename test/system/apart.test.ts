import { expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { until } from "../kit/until.ts";

test("broker, manager and worker each alone: the broker is killed while 20 runs are in flight, and each still has one start and a true end", async () => {
  await using fleet = await Fleet.startApart({ MUSTER_WORKER_SLOTS: "10" });
  await Promise.all(["a", "b"].map((id) => fleet.startWorker(id)));
  const script = `echo "$MUSTER_RUN_ID" >> ${fleet.witness}; sleep 1; exit $PARAM_code`;
  const taskId = await fleet.task({ name: "apart", params: { code: "0" }, run: { driver: "script", interpreter: "sh", script } });
  const items = Array.from({ length: 20 }, (_, i) => ({ taskId, params: { code: String(i % 2) } }));
  const runs: string[] = (await fleet.call("POST", "/runs", { items })).body.items.map((item: any) => item.run.id);
  await until("some to have started", () => fleet.witnessLines().length >= 5, 60_000);
  if (!fleet.broker) throw new Error("no broker");
  await fleet.kill(fleet.broker);
  const away = await until("health to say that the broker is away", async () => {
    const health = await fleet.call("GET", "/health");
    return health.status === 503 ? health.body : undefined;
  });
  expect(away.checks.find((check: { name: string }) => check.name === "broker")).toMatchObject({ status: "fail" });
  await fleet.startBroker();
  for (const [i, id] of runs.entries()) {
    expect(await fleet.ended(id, 120_000)).toMatchObject({ end: { how: "exited", code: i % 2 } });
  }
  expect(fleet.witnessLines()).toHaveLength(20);
  expect(new Set(fleet.witnessLines())).toEqual(new Set(runs));
  await until("health to pass again", async () => (await fleet.call("GET", "/health")).status === 200);
});
