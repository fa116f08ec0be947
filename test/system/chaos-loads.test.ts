/** The small form of the scenarios of load and outage, on one database server and one broker; `npm run chaos` plays them at full size. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { serversMissing, type ServedScenario, type Servers } from "../chaos/load/servers.ts";
import { brokerWiped } from "../chaos/scenarios/broker-wiped.ts";
import { offline } from "../chaos/scenarios/offline.ts";
import { MariadbServer } from "../kit/mariadb.ts";
import { startMosquitto } from "../kit/mosquitto.ts";

const played: readonly ServedScenario[] = [offline, brokerWiped];
const missing = serversMissing();
const cleanup = new AsyncDisposableStack();
let servers: Servers;

beforeAll(async () => {
  if (missing !== undefined) return;
  const server = cleanup.use(await MariadbServer.start());
  const broker = cleanup.use(await startMosquitto({ workers: played.flatMap(({ workers }) => workers) }));
  servers = { server, broker };
});
afterAll(async () => await cleanup.disposeAsync());

for (const { name, about, playOn } of played) {
  test(`the small form of ${name}: ${about}`, async (ctx) => {
    if (missing !== undefined) ctx.skip(missing);
    const said: string[] = [];
    const { figures, violations } = await playOn(servers, { kind: "small", rounds: 1 }, (line) => said.push(line));
    expect(violations, [...said, JSON.stringify(figures)].join("\n")).toEqual([]);
  });
}
