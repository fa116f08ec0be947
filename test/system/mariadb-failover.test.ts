import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mariadbMissing, MariadbServer } from "../kit/mariadb.ts";
import { Managers } from "../kit/managers.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { TcpProxy } from "../kit/tcp-proxy.ts";
import { until } from "../kit/until.ts";

const missing = mariadbMissing() ?? mosquittoMissing;

test("the database becomes read-only, dies, and another server takes its place: nobody is restarted, nothing lost, nothing done twice", async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing);
  await using old = await MariadbServer.start(["--server-id=1"]);
  await using proxy = await TcpProxy.to(old.port);
  await using broker = await startMosquitto({ workers: ["a"] });
  const url = new URL(await old.database());
  url.port = String(proxy.port);
  await using fleet = await Managers.start({ server: old, broker, databaseUrl: url.href }, ["m1", "m2"]);
  await fleet.startWorker("a");
  const gate = join(fleet.folder, "gate");
  const script = `echo "$MUSTER_RUN_ID" >> ${fleet.witness}; until [ "$PARAM_wait" = no ] || [ -e ${gate} ]; do sleep 0.05; done`;
  const taskId = await fleet.client.task({
    name: "seen",
    params: { wait: "no" },
    run: { driver: "script", interpreter: "sh", script },
  });
  const runs: string[] = [];
  const refusals: { status: number; code: string; retryAfter: number; detail: string }[] = [];
  /** Asks once, by whichever manager the front gives, with the key of this start. */
  const ask = async (n: number, params: Record<string, string> = {}): Promise<boolean> => {
    const answer = await fleet.client.call("POST", `/tasks/${taskId}/start`, { params }, { "idempotency-key": `start-${n}` });
    if (answer.status === 202) {
      runs.push(answer.body.id);
      return true;
    }
    const { code, detail } = answer.body;
    refusals.push({ status: answer.status, code, detail, retryAfter: Number(answer.headers.get("retry-after")) });
    return false;
  };
  const taken = async (n: number, params?: Record<string, string>): Promise<void> =>
    void (await until(`start ${n} to be taken`, () => ask(n, params), 60_000));
  const readAt = async (name: string): Promise<number> => (await fleet.at(name).call("GET", `/runs/${runs.at(-1)}`)).status;
  const names = ["m1", "m2"];

  // Longer than everything that follows.
  await taken(1, { wait: "yes" });
  await until("the long one to run", () => fleet.witnessLines().includes(runs[0] ?? ""));

  await old.admin("SET GLOBAL read_only = 1");
  const health = await until("health to say why, and what to do", async () => {
    const { body } = await fleet.at(await runningLeader(fleet, names)).call("GET", "/health");
    return body.checks.find(
      (check: { name: string; sentence: string }) => check.name.startsWith("database") && /read-only/.test(check.sentence),
    );
  });
  expect(health).toMatchObject({
    status: "fail",
    sentence: expect.stringMatching(
      /it may be a replica: set read_only=OFF there, or have MUSTER_DATABASE_URL lead to the server that takes writes/,
    ),
  });
  expect(await ask(2)).toBe(false);
  for (const name of names) expect(await readAt(name), name).toBe(200);
  await old.admin("SET GLOBAL read_only = 0");
  await taken(2);

  await old.kill();
  expect(await ask(3)).toBe(false);
  await using next = await old.copy(["--server-id=2"]);
  await old.restart();
  await old.admin("SET GLOBAL read_only = 1");
  // Everybody is at the old one again, which is a replica now, when the proxy leads to the new one.
  for (const name of names) await until(`${name} to read from the old one`, async () => (await readAt(name)) === 200, 60_000);
  expect(await ask(3)).toBe(false);
  proxy.switchTo(next.port);
  await taken(3);
  for (const name of names) await until(`${name} to read from the new one`, async () => (await readAt(name)) === 200);
  await until("nobody to be at the old one", async () => {
    const all: { User: string }[] = await old.admin("SHOW PROCESSLIST");
    return all.every(({ User }) => User !== old.user);
  });
  expect(existsSync(gate)).toBe(false);
  writeFileSync(gate, "");
  for (const id of runs) expect(await fleet.client.ended(id)).toMatchObject({ state: "succeeded" });
  expect(fleet.witnessLines().toSorted()).toEqual(runs.toSorted());
  expect(new Set(runs).size).toBe(3);
  await until("health to be well again", async () => {
    const all = await Promise.all(names.map(async (name) => (await fleet.at(name).call("GET", "/health")).status));
    return all.every((status) => status === 200);
  });
  // Each of them was told truly: what was not taken was not done, and what nobody knew is the one run of its key.
  expect(refusals.length).toBeGreaterThanOrEqual(3);
  for (const refusal of refusals) {
    expect(refusal, refusal.detail).toMatchObject({ status: 503, code: expect.stringMatching(/^(not-taken|outcome-unknown)$/) });
    expect(refusal.retryAfter).toBeGreaterThan(0);
  }
  const { body } = await fleet.client.call("GET", `/runs?taskId=${taskId}&limit=200`);
  expect(body.items.map((run: { id: string }) => run.id).toSorted()).toEqual(runs.toSorted());
});

/** While the database is in trouble nobody says that he leads: whoever has something to say of it. */
async function runningLeader(fleet: Managers, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const { body } = await fleet.at(name).call("GET", "/health");
    if (body.checks.some((check: { name: string }) => check.name === "database:default")) return name;
  }
  return names[0] ?? "";
}
