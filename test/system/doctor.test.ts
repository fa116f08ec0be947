/** `muster doctor` on real parts: when all is well, and when half of it is down. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Managers } from "../kit/managers.ts";
import { MariadbServer, mariadbMissing } from "../kit/mariadb.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { until } from "../kit/until.ts";
import { WallClock, wallClockMissing } from "../kit/wall-clock.ts";

interface Done {
  readonly code: number | null;
  readonly text: string;
}

async function doctor(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Done> {
  const child = spawn(process.execPath, ["scripts/muster.mjs", "doctor", ...args], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const code = await new Promise<number | null>((done) => child.once("close", (exit) => done(exit)));
  return { code, text };
}

test("all is well; then a clock is a day off; then the broker and the database are gone, and the doctor says what and what to do", async (ctx) => {
  const missing = mariadbMissing() ?? mosquittoMissing ?? wallClockMissing();
  if (missing !== undefined) return ctx.skip(missing);
  await using server = await MariadbServer.start();
  await using broker = await startMosquitto({ workers: ["edge-a", "edge-b"] });
  await using fleet = await Managers.start({ server, broker }, ["m1"]);
  await fleet.startWorker("edge-a");
  const task = await fleet.client.task({ name: "quick", run: { driver: "exec", program: "/bin/true" } });
  for (const id of await fleet.client.startRuns(task, 3)) await fleet.client.ended(id);
  const env = {
    MUSTER_DATA_DIR: join(fleet.folder, "m1"),
    MUSTER_DATABASE_URL: fleet.databaseUrl,
    MUSTER_LEASE_RENEW_MS: "200",
    MUSTER_LEASE_STILL_MS: "6000",
    MUSTER_BROKER_URL: `mqtt://127.0.0.1:${broker.port}`,
    MUSTER_BROKER_PASSWORD: broker.password("manager"),
    MUSTER_URL: fleet.at("m1").url,
    MUSTER_TOKEN: fleet.token,
  };
  const secrets = [fleet.token, broker.password("manager"), server.password, encodeURIComponent(server.password)];

  const well = await doctor(["--json"], env);
  expect(well.text).not.toMatch(/"status": "fail"/);
  expect(well.code).toBe(0);
  const found: { name: string; status: string; sentence: string }[] = JSON.parse(well.text).checks;
  const said = (name: string): string => found.find((one) => one.name === name)?.sentence ?? `nothing of ${name}`;
  expect(said("lease:default")).toMatch(/leads the pool default \(term \d+\), and its lease moves/);
  expect(said("broker")).toMatch(/what is said at mqtt:\S+ is heard there/);
  expect(said("database:migrated")).toContain("of this release");
  expect(said("workers")).toBe("1 of 1 workers are heard");
  expect(said("workers:clock")).toContain("agree with the manager's");
  expect(said("runs")).toBe("every run has ended");

  const clock = new WallClock(join(fleet.folder, "clock-edge-b"));
  clock.set(86_400);
  await fleet.startWorker("edge-b", clock.env);
  for (const id of await fleet.client.startRuns(task, 1, { workerId: "edge-b" })) await fleet.client.ended(id);
  const off = await doctor([], env);
  expect(off.code).toBe(0);
  expect(off.text).toMatch(/^warn +workers:clock +clocks differ from the manager's: edge-b is ahead by 86(39|40)\d s$/m);

  await broker.kill();
  await server.kill();
  // What /health says is what was found a moment ago.
  await until("the manager's own health to say so", async () => {
    const { checks } = (await fleet.client.call("GET", "/health")).body as { checks: { name: string; status: string }[] };
    return ["database:default", "broker"].every((part) => checks.some(({ name, status }) => name === part && status === "fail"));
  });
  const half = await doctor([], env);
  expect(half.code).toBe(1);
  expect(half.text).toMatch(/^FAIL +database +The database .* was not reached/m);
  expect(half.text).toMatch(/^FAIL +broker +no connection to the broker at mqtt:/m);
  expect(half.text).toMatch(/^ok +api /m);
  expect(half.text).toMatch(/^FAIL +health:/m);
  expect(half.text).toContain("→");

  expect((await doctor(["--no-such-flag"], env)).code).toBe(2);
  for (const secret of secrets) for (const { text } of [well, half]) expect(text).not.toContain(secret);
});
