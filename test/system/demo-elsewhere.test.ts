/** `npm run demo` on a database and a broker that are there already, named by two variables of the environment. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mqttConnector } from "../../broker/mqtt.ts";
import { hear } from "../broker/rig.ts";
import type { BrokerServer } from "../kit/broker-server.ts";
import { MariadbServer, mariadbMissing } from "../kit/mariadb.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { freePorts } from "../kit/ports.ts";

const launcher = join(import.meta.dirname, "../../scripts/muster.mjs");
const missing = mosquittoMissing ?? mariadbMissing();
let mosquitto: BrokerServer;
let mariadb: MariadbServer;
beforeAll(async () => {
  if (missing !== undefined) return;
  mosquitto = await startMosquitto();
  mariadb = await MariadbServer.start();
});
afterAll(async () => {
  await mosquitto?.[Symbol.asyncDispose]();
  await mariadb?.[Symbol.asyncDispose]();
});

async function demo(env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [launcher, "demo"], { env: { PATH: process.env["PATH"] ?? "", ...env } });
  const said = { out: "", err: "" };
  child.stdout.on("data", (bytes: Buffer) => (said.out += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (said.err += bytes.toString()));
  const status = await new Promise((resolve) => child.once("close", resolve));
  return { ...said, status };
}

const brokerUrl = (password = mosquitto.password("manager")): string => `mqtt://manager:${password}@127.0.0.1:${mosquitto.port}`;

test.concurrent("it runs on MariaDB and Mosquitto by two variables, twice, and leaves nothing on broker or disk", async (ctx) => {
  if (missing !== undefined) ctx.skip(missing);
  const temporary = mkdtempSync(join(tmpdir(), "muster-demo-test-"));
  const databaseUrl = await mariadb.database();
  const observer = await hear(
    mqttConnector({ url: `mqtt://127.0.0.1:${mosquitto.port}`, username: "manager", password: mosquitto.password("manager") }),
    "manager.observer",
  );
  await observer.subscribe("muster/v1/#");
  for (let time = 0; time < 2; time += 1) {
    const done = await demo({ TMPDIR: temporary, MUSTER_DATABASE_URL: databaseUrl, MUSTER_BROKER_URL: brokerUrl() });
    expect(done.err).toBe("");
    expect(done.out).toContain(`on the database that is given and the broker at mqtt://127.0.0.1:${mosquitto.port} as manager`);
    expect(done.out).toMatch(/^run \S+ succeeded: \{"how":"exited","code":0\}, result \{"lines":6,"words":30\}$/m);
    expect(done.out).not.toContain(mosquitto.password("manager"));
    expect(done.status).toBe(0);
  }
  expect(readdirSync(temporary)).toEqual([]);
  rmSync(temporary, { recursive: true });
  // It did speak over this broker, and what it left there was taken away.
  const topics = observer.deliveries.map(({ topic }) => topic);
  expect(topics.filter((topic) => topic.endsWith("/down/commands")).length).toBeGreaterThan(0);
  const later = await hear(
    mqttConnector({ url: `mqtt://127.0.0.1:${mosquitto.port}`, username: "manager", password: mosquitto.password("manager") }),
    "manager.later",
  );
  await later.subscribe("muster/v1/+/+/up/status");
  await later.publish("muster/v1/x/y/up/status", Buffer.from("{}"), { qos: 1 });
  await later.close();
  expect(later.deliveries.filter(({ retained }) => retained)).toEqual([]);
  await observer.close();
  // And it used that database.
  const name = new URL(databaseUrl).pathname.slice(1);
  // Nor does anybody come in by what the demo made for itself.
  for (const table of ["tokens", "clients"]) expect(await mariadb.admin(`SELECT * FROM ${table}`, name), table).toEqual([]);
  const rows = await mariadb.admin("SELECT state, COUNT(*) AS n FROM runs GROUP BY state", name);
  expect(JSON.stringify(rows)).toContain("succeeded");
});

test.concurrent("a wrong password, a broker that is not there and a url that is none are said in a sentence", async (ctx) => {
  if (missing !== undefined) ctx.skip(missing);
  const [nobody] = await freePorts(1);
  const [wrong, away, none, half] = await Promise.all([
    demo({ MUSTER_BROKER_URL: brokerUrl("wrong") }),
    demo({ MUSTER_BROKER_URL: `mqtt://127.0.0.1:${nobody}` }),
    demo({ MUSTER_BROKER_URL: "redis://127.0.0.1" }),
    demo({ MUSTER_BROKER_URL: "mqtt://ana@127.0.0.1" }),
  ]);
  expect(wrong.err).toMatch(/^muster demo: the broker at mqtt:\/\/127\.0\.0\.1:\d+ refused the connection: /);
  expect(away.err).toMatch(/^muster demo: no connection to the broker at \S+: nothing listens there; is the broker running\?\n$/);
  expect(none.err).toBe("muster demo: MUSTER_BROKER_URL: the broker's url must be mqtt://host:port or mqtts://host:port\n");
  expect(half.err).toContain(
    "muster demo: the broker's user ana has no password; give MUSTER_BROKER_URL=mqtt://ana:<password>@host:port",
  );
  for (const { status } of [wrong, away]) expect(status).toBe(1);
  for (const { status } of [none, half]) expect(status).toBe(2);
});
