import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { BrokerServer, BrokerUsers } from "../kit/broker-server.ts";
import { Fleet, type Member } from "../kit/fleet.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { natsMissing, startNats } from "../kit/nats.ts";
import { until } from "../kit/until.ts";

/** What manager and workers may each need beyond what they needed before, while the broker is away and after. */
const mostGrowthMb = 64;
const workers = ["a", "b"] as const;

describe.concurrent.each([
  ["Mosquitto", startMosquitto, mosquittoMissing],
  ["NATS", startNats, natsMissing],
] as const)("%s", (_name, start, missing) => {
  test("kill -9 of the broker, its store wiped, while 50 runs are in flight: one start and a true end each", async (ctx) => {
    if (missing !== undefined) ctx.skip(missing);
    await killedWhileBusy(start);
  });
});

async function killedWhileBusy(start: (users: BrokerUsers) => Promise<BrokerServer>): Promise<void> {
  await using broker = await start({ workers });
  const at = (username: string) => ({
    MUSTER_BROKER_URL: `mqtt://127.0.0.1:${broker.port}`,
    MUSTER_BROKER_PASSWORD: broker.password(username),
  });
  await using fleet = await Fleet.start({ MUSTER_WORKER_SLOTS: "15", ...at("manager") });
  const agents = await Promise.all(workers.map((id) => fleet.startWorker(id, at(id))));
  const members = [fleet.manager as Member, ...agents];
  const gate = `${fleet.folder}/gate`;
  // Output and ends come while nobody can take them.
  const script = `echo "$MUSTER_RUN_ID" >> ${fleet.witness}; while [ ! -e ${gate} ]; do sleep 0.1; done; head -c 200000 /dev/zero | tr '\\0' x; exit $PARAM_code`;
  const taskId = await fleet.task({ name: "busy", params: { code: "0" }, run: { driver: "script", interpreter: "sh", script } });
  const items = Array.from({ length: 50 }, (_, n) => ({ taskId, params: { code: String(n % 2) } }));
  const runs: string[] = (await fleet.call("POST", "/runs", { items })).body.items.map((item: any) => item.run.id);
  await until("some to have started", () => fleet.witnessLines().length >= 10, 60_000);
  const before = members.map((member) => residentMb(member, "VmRSS"));

  await broker.kill();
  const away = await until("health to say that the broker is away", async () => {
    const health = await fleet.call("GET", "/health");
    return health.status === 503 && health.body;
  });
  expect(away.checks).toContainEqual({ name: "broker", status: "fail", sentence: expect.stringContaining("broker at mqtt://") });
  for (const agent of agents)
    await until("the worker to say so", () => fleet.logOf(agent).includes("not connected to the broker"), 60_000);
  // It takes requests all the same, and those that run end.
  const late = await fleet.startRuns(taskId, 1);
  writeFileSync(gate, "");
  broker.wipe();
  await broker.start();

  for (const [n, id] of runs.entries())
    expect(await fleet.ended(id, 120_000)).toMatchObject({ end: { how: "exited", code: n % 2 } });
  for (const id of late) expect(await fleet.ended(id, 120_000)).toMatchObject({ state: "succeeded" });
  expect(fleet.witnessLines().toSorted()).toEqual([...runs, ...late].toSorted());
  await until("health to pass again", async () => (await fleet.call("GET", "/health")).status === 200);
  const first = runs[0] as string;
  await until("the whole output", async () => {
    const log = await fleet.call("GET", `/runs/${first}/logs?follow=true`, undefined, { accept: "text/plain" });
    return (log.body as string).length === 200_000;
  });
  const grown = members.map((member, n) => residentMb(member, "VmHWM") - (before[n] as number));
  for (const mb of grown) expect(mb).toBeLessThanOrEqual(mostGrowthMb);
}

/** Resident memory of a process in MB: now (`VmRSS`), or the most that it ever was (`VmHWM`). */
function residentMb(member: Member, what: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${member.process.pid}/status`, "utf8");
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1_024;
}
