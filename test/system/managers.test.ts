import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrokerServer } from "../kit/broker-server.ts";
import { mariadbMissing, MariadbServer } from "../kit/mariadb.ts";
import { Managers } from "../kit/managers.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { until } from "../kit/until.ts";

/** Two managers as processes, on one real MariaDB and one real Mosquitto. */
const missing = mariadbMissing() ?? mosquittoMissing;
let server: MariadbServer;
let broker: BrokerServer;
beforeAll(async () => {
  if (missing !== undefined) return;
  server = await MariadbServer.start();
  broker = await startMosquitto({ workers: ["a"] });
});
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

test("whichever manager is asked, the leader decides; and a follower goes on when the leader is killed, or stands still", async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing);
  await using fleet = await Managers.start({ server, broker }, ["m1", "m2"]);
  await fleet.startWorker("a");
  const leader = await fleet.leader();
  const follower = await fleet.follower();
  const at = fleet.at(follower);
  await until("the follower to be ready", async () => (await at.call("GET", "/readyz")).status === 200);
  const taskId = await at.task({
    name: "wait",
    params: { gate: "" },
    run: { driver: "script", interpreter: "sh", script: 'until [ -e "$PARAM_gate" ]; do sleep 0.05; done; echo done' },
  });
  const started = await at.call("POST", `/tasks/${taskId}/start`, {});
  console.log(started.status, started.body);
  console.log((await at.call("GET", "/health")).body);
  console.log((await fleet.at(leader).call("GET", "/health")).body);
  console.log((await at.call("GET", "/workers/a")).body);
  expect(started.status).toBe(202);
});
