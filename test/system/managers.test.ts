import { afterAll, beforeAll, expect, test } from "vitest";
import { mariadbMissing, MariadbServer } from "../kit/mariadb.ts";
import { Managers } from "../kit/managers.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import type { BrokerServer } from "../kit/broker-server.ts";

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

test("a manager takes over from one that was killed", async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing);
  await using fleet = await Managers.start({ server, broker }, ["m1", "m2"]);
  await fleet.startWorker("a");
  const leader = await fleet.leader();
  const other = await fleet.follower();
  await fleet.kill(leader);
  expect(await fleet.leader()).toBe(other);
});
