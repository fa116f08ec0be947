/** Rule 28 with real processes: a database from before comes back, and by a witness file nothing that finished runs again. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { MariadbServer, mariadbMissing } from "../kit/mariadb.ts";
import { until } from "../kit/until.ts";

const noMariadb = mariadbMissing();
let server: MariadbServer | undefined;
beforeAll(async () => {
  if (noMariadb === undefined) server = await MariadbServer.start();
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

/** The hold lasts a whole loss period, which is 7.5 of these heartbeats. */
const quick = { MUSTER_HEARTBEAT_MS: "600", MUSTER_LEASE_RENEW_MS: "200", MUSTER_LEASE_STILL_MS: "1000" };

/** How one kind of database is copied and put back, as docs/operations.md has it. */
interface Way {
  readonly env: Readonly<Record<string, string>>;
  backUp(fleet: Fleet): void;
  /** While no manager runs. */
  putBack(fleet: Fleet): void;
}

function muster(fleet: Fleet, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const made = spawnSync(process.execPath, ["cli/main.ts", ...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], ...quick, MUSTER_DATA_DIR: join(fleet.folder, "manager"), ...env },
  });
  if (made.status !== 0) throw new Error(`muster ${args[0]}: ${made.stdout}${made.stderr}`);
  return made.stdout;
}

const sqlite: Way = {
  env: {},
  backUp: (fleet) => void muster(fleet, ["backup", join(fleet.folder, "copy.db")]),
  putBack: (fleet) => {
    const file = join(fleet.folder, "manager", "muster.db");
    for (const end of ["", "-wal", "-shm"]) rmSync(`${file}${end}`, { force: true });
    copyFileSync(join(fleet.folder, "copy.db"), file);
  },
};

async function mariadb(): Promise<Way> {
  const url = (await server?.database()) ?? "";
  const database = new URL(url).pathname.slice(1);
  const { port = 0 } = server ?? {};
  const access = ["--no-defaults", "--host=127.0.0.1", `--port=${port}`, "--user=root", "--protocol=tcp", "--skip-ssl"];
  return {
    env: { MUSTER_DATABASE_URL: url },
    backUp: (fleet) => {
      const dump = execFileSync("mariadb-dump", [...access, "--single-transaction", "--hex-blob", database], {
        maxBuffer: 2 ** 28,
      });
      writeFileSync(join(fleet.folder, "dump.sql"), dump);
    },
    putBack: (fleet) => {
      const input = `DROP DATABASE \`${database}\`; CREATE DATABASE \`${database}\`; USE \`${database}\`;\n`;
      execFileSync("sh", [
        "-c",
        `{ printf %s "$1"; cat "$2"; } | mariadb ${access.join(" ")}`,
        "sh",
        input,
        join(fleet.folder, "dump.sql"),
      ]);
    },
  };
}

describe("a database from before comes back", () => {
  test("SQLite, copied by muster backup while the manager runs", async () => await comesBack(sqlite), 120_000);

  test("MariaDB, by mariadb-dump --single-transaction", async (ctx) => {
    if (noMariadb !== undefined) return ctx.skip(noMariadb);
    if (spawnSync("mariadb-dump", ["--version"]).status !== 0)
      return ctx.skip("not on this host: mariadb-dump (apt-get install mariadb-client)");
    await comesBack(await mariadb());
  }, 120_000);
});

async function comesBack(way: Way): Promise<void> {
  await using fleet = await Fleet.start({ ...quick, ...way.env });
  const gates = join(fleet.folder, "gates");
  mkdirSync(gates, { mode: 0o777 });
  const open = (gate: string): void => writeFileSync(join(gates, gate), "");
  const say = `echo "$MUSTER_RUN_ID $MUSTER_ATTEMPT" >> ${fleet.witness}; echo begun`;
  const gated = async (name: string, gate: string): Promise<string> =>
    await fleet.task({
      name,
      run: {
        driver: "script",
        interpreter: "sh",
        script: `${say}; until [ -e ${gates}/${gate} ]; do sleep 0.05; done; echo over`,
      },
    });
  await fleet.startWorker("edge-a", { MUSTER_WORKER_SLOTS: "2" });
  await fleet.startWorker("edge-b", { MUSTER_WORKER_SLOTS: "1" });
  const quickTask = await fleet.task({
    name: "quick",
    run: { driver: "script", interpreter: "sh", script: `${say}; echo done` },
  });
  const flaky = await fleet.task({
    name: "flaky",
    retry: { attempts: 3, backoffSeconds: 0, on: ["failed"] },
    run: { driver: "script", interpreter: "sh", script: `${say}; [ "$MUSTER_ATTEMPT" -ge 2 ]` },
  });

  // Before the backup: one has ended, three fill every slot, the rest waits.
  const [first = ""] = await fleet.startRuns(quickTask, 1);
  await fleet.ended(first);
  const endsLater = await fleet.startRuns(await gated("ends-later", "one"), 2);
  const [through = ""] = await fleet.startRuns(await gated("through", "two"), 1);
  for (const id of [...endsLater, through]) await stateOf(fleet, id, "running");
  const queued = await fleet.startRuns(quickTask, 6);
  const [retried = ""] = await fleet.startRuns(flaky, 1);
  const [startsLater = ""] = await fleet.startRuns(await gated("starts-later", "two"), 1);
  way.backUp(fleet);

  // The hour that will be lost.
  open("one");
  for (const id of [...endsLater, ...queued, retried]) expect((await fleet.ended(id)).state).toBe("succeeded");
  await stateOf(fleet, startsLater, "running");
  const [unknown = ""] = await fleet.startRuns(quickTask, 1);
  await fleet.ended(unknown);
  const before = fleet.witnessLines().toSorted();
  // While a manager leads, nobody marks anything, also from another host.
  const elsewhere = {
    ...way.env,
    // Who stands still for a moment leads all the same; it is seen as soon as it moves.
    MUSTER_LEASE_STILL_MS: "15000",
    MUSTER_DATA_DIR: way.env["MUSTER_DATABASE_URL"] ? fleet.folder : join(fleet.folder, "manager"),
  };
  expect(() => muster(fleet, ["restored"], elsewhere)).toThrow(/stop all managers first/);
  if (fleet.manager) await fleet.kill(fleet.manager, "SIGTERM");

  way.putBack(fleet);
  expect(muster(fleet, ["restored", "--reason", "the dump of noon"], way.env)).toContain("marked pool default");
  await fleet.startManager();
  const [after = ""] = await fleet.startRuns(quickTask, 1);
  const waiting = await fleet.run(after);
  const stillHeld = (await fleet.call("GET", "/pools/default")).body.restored !== null;
  if (waiting.state === "queued" && stillHeld) expect(waiting.reason).toMatch(/^held, because the database was taken back/);
  await until("the hold to end", async () => (await fleet.call("GET", "/pools/default")).body.restored === null, 60_000);

  for (const id of [...endsLater, ...queued, retried]) {
    const run = await fleet.run(id);
    expect([run.id, run.state, run.end]).toEqual([id, "succeeded", { how: "exited", code: 0 }]);
  }
  expect((await fleet.run(unknown)).status).toBe(404);
  const found = await fleet.call("GET", `/events?kind=attemptFound&limit=200`);
  expect(found.body.items.map((event: { runId: string }) => event.runId)).toContain(unknown);
  for (const id of [through, startsLater]) await stateOf(fleet, id, "running");
  open("two");
  for (const id of [through, startsLater]) {
    expect((await fleet.ended(id)).state).toBe("succeeded");
    // What was acknowledged in the lost time and is gone with it comes again from the worker's disk.
    await until(`all output of run ${id}`, async () => {
      const output = await fleet.call("GET", `/runs/${id}/logs`, undefined, { accept: "text/plain" });
      return output.body === "begun\nover\n";
    });
  }
  await fleet.ended(after);

  // Each exactly as often as before, and the new one once; a worker that stood still may have refused it before.
  const isNew = (line: string): boolean => line.startsWith(`${after} `);
  expect(fleet.witnessLines().filter(isNew)).toHaveLength(1);
  expect(
    fleet
      .witnessLines()
      .filter((line) => !isNew(line))
      .toSorted(),
  ).toEqual(before);
  expect(
    (await fleet.call("GET", "/events?kind=poolHeld,poolReleased")).body.items.map((event: { kind: string }) => event.kind),
  ).toEqual(["poolHeld", "poolReleased"]);
}

async function stateOf(fleet: Fleet, id: string, state: string): Promise<void> {
  await until(`run ${id} to be ${state}`, async () => (await fleet.run(id)).state === state, 30_000);
}
