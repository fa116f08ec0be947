/** A manager whose database somebody else keeps busy, that is told to leave meanwhile, and that finds what it cannot read. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { jsonLines } from "../kit/json-lines.ts";
import { until } from "../kit/until.ts";

let fleet: Fleet;
let database: DatabaseSync;
let task: string;
beforeAll(async () => {
  fleet = await Fleet.start();
  database = new DatabaseSync(join(fleet.folder, "manager/muster.db"));
  task = await fleet.task({ name: "hard-times", run: { driver: "exec", program: "/bin/true" } });
});
afterAll(async () => {
  database.close();
  await fleet[Symbol.asyncDispose]();
});

const ready = async (): Promise<number> => (await fleet.call("GET", "/readyz")).status;
const start = (key?: string) =>
  fleet.call("POST", `/tasks/${task}/start`, {}, key === undefined ? {} : { "idempotency-key": key });
const runsOfTask = async (): Promise<unknown[]> => (await fleet.call("GET", `/runs?taskId=${task}`)).body.items;
const logLines = (): { level: string; msg: string }[] => jsonLines(fleet.manager?.logFile ?? "");

test("a database that is busy: what was taken waits, what is not taken is told so, all is truth, and nothing is lost", async () => {
  database.exec("BEGIN IMMEDIATE");
  const held = start();
  await until("it to be not ready", async () => (await ready()) === 503);
  const refused = await start();
  expect(refused).toMatchObject({
    status: 503,
    body: { code: "not-taken", detail: expect.stringContaining("database is locked") },
  });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  const health = await until("health to know", async () => {
    const seen = await fleet.call("GET", "/health");
    return seen.status === 503 && seen.body;
  });
  expect(health.checks).toContainEqual({
    name: "database:default",
    status: "fail",
    sentence: expect.stringContaining("database is locked"),
  });
  expect(await runsOfTask()).toEqual([]);
  database.exec("ROLLBACK");
  expect(await held).toMatchObject({ status: 202, body: { state: "queued" } });
  await until("it to be ready", async () => (await ready()) === 200);
  expect(await runsOfTask()).toHaveLength(1);
  expect(logLines().filter((line) => /trouble|works again/.test(line.msg))).toMatchObject([
    { level: "error" },
    { level: "warn" },
  ]);
});

test("SIGTERM meanwhile: who waits learns that the outcome is unknown and with which key to ask again; it leaves, with code 0", async () => {
  database.exec("BEGIN IMMEDIATE");
  const held = start();
  await until("it to be not ready", async () => (await ready()) === 503);
  if (!fleet.manager) throw new Error("no manager");
  // The database is held until the end of this test: who waited for it would never leave.
  expect(await fleet.kill(fleet.manager, "SIGTERM")).toBe(0);
  const answer = await held;
  expect(answer).toMatchObject({ status: 503, body: { code: "outcome-unknown" } });
  database.exec("ROLLBACK");
  await fleet.startManager();
  const key: string = answer.body.idempotencyKey;
  const again = await start(key);
  expect(again.status).toBe(202);
  expect((await start(key)).body.id).toBe(again.body.id);
  expect(await runsOfTask()).toHaveLength(2);
});

test("live state that cannot be read: it leaves with a code that is not 0, instead of standing there without deciding anything", async () => {
  if (!fleet.manager) throw new Error("no manager");
  await fleet.kill(fleet.manager, "SIGTERM");
  database.exec("UPDATE runs SET state = 'starting', labels = '{'");
  await expect(fleet.startManager()).rejects.toThrow(/it ended \(70\)[^]*the engine ended by itself/);
});
