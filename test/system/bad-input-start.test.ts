import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { startBystander } from "../kit/bystander.ts";
import { Fleet } from "../kit/fleet.ts";
import { freePorts } from "../kit/ports.ts";
import { until } from "../kit/until.ts";
import { compileCache } from "../kit/compile-cache.ts";

const root = resolve(import.meta.dirname, "../..");

/** Runs a command that is expected to give up, and returns how it ended and what it said. */
function attemptOf(
  entry: "manager/main.ts" | "worker/main.ts",
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [entry], {
    cwd: root,
    env: { PATH: process.env["PATH"], ...compileCache, HOME: env["MUSTER_DATA_DIR"], ...env },
    timeout: 20_000,
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.once("close", (code) => done({ code, said })));
}

const change = (file: string, sql: string): void => {
  using database = new DatabaseSync(file);
  database.exec(sql);
};

const versionOf = (file: string): number => {
  using database = new DatabaseSync(file);
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
};

test("a manager that cannot have what it needs says which setting or file, and disturbs nothing", async () => {
  await using fleet = await Fleet.start();
  await fleet.startWorker("a");
  const bystander = await startBystander(fleet);
  const taken = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await until("the port to be taken", () => taken.listening);
  const busy = String((taken.address() as AddressInfo).port);
  const [http, broker] = (await freePorts(2)).map(String) as [string, string];
  const own = { MUSTER_DATA_DIR: `${fleet.folder}/other`, MUSTER_HTTP_PORT: http, MUSTER_BROKER_PORT: broker };
  const file = `${fleet.folder}/file`;
  writeFileSync(file, "");
  const cases: readonly (readonly [env: Record<string, string>, said: RegExp])[] = [
    [
      { ...own, MUSTER_DATA_DIR: `${fleet.folder}/another`, MUSTER_HTTP_PORT: busy },
      /port \d+ on 127\.0\.0\.1 is taken by another program; set MUSTER_HTTP_PORT/,
    ],
    [
      { ...own, MUSTER_BROKER_PORT: busy },
      /cannot listen on 127\.0\.0\.1:\d+: another program listens there; set MUSTER_BROKER_PORT/,
    ],
    [{ ...own, MUSTER_DATA_DIR: `${fleet.folder}/manager` }, /Another manager uses the data folder .*MUSTER_DATA_DIR/],
    [{ ...own, MUSTER_DATA_DIR: file }, /the data folder .*file cannot be used: it is a file; set MUSTER_DATA_DIR/],
    [{ ...own, MUSTER_DATA_DIR: `${file}/below` }, /something above it is a file; set MUSTER_DATA_DIR/],
  ];
  await Promise.all(
    cases.map(async ([env, said]) => {
      const ended = await attemptOf("manager/main.ts", env);
      expect(ended.said).toMatch(said);
      expect(ended.code).toBe(1);
    }),
  );
  expect((await fleet.run(bystander.id)).state).toBe("running");
  await bystander.endsTruly();
});

test("a data folder of a newer version, or a broken database, is left as it is; put right, everything is found again", async () => {
  await using fleet = await Fleet.start();
  const worker = await fleet.startWorker("a");
  const bystander = await startBystander(fleet);
  const folder = `${fleet.folder}/manager`;
  const [http, broker] = (await freePorts(2)).map(String) as [string, string];
  const start = (): Promise<{ code: number | null; said: string }> =>
    attemptOf("manager/main.ts", { MUSTER_DATA_DIR: folder, MUSTER_HTTP_PORT: http, MUSTER_BROKER_PORT: broker });
  if (!fleet.manager) throw new Error("no manager");
  await fleet.kill(fleet.manager);

  change(`${folder}/muster.db`, "INSERT INTO migrations VALUES ('9999_later', 'x')");
  expect(await start()).toEqual({
    code: 1,
    said: expect.stringMatching(/of a newer version: it has the migration 9999_later.*Start the release that made it/),
  });
  change(`${folder}/muster.db`, "DELETE FROM migrations WHERE name = '9999_later'");

  cpSync(folder, `${folder}.kept`, { recursive: true });
  for (const name of readdirSync(folder)) if (name.startsWith("muster.db-")) rmSync(`${folder}/${name}`);
  writeFileSync(`${folder}/muster.db`, Buffer.alloc(20_000, "no pages of a database"));
  const broken = readFileSync(`${folder}/muster.db`);
  expect(await start()).toEqual({
    code: 1,
    said: expect.stringMatching(/muster\.db cannot be opened\. file is not a database\. Put a backup of .* back/),
  });
  expect(readFileSync(`${folder}/muster.db`).equals(broken)).toBe(true);
  rmSync(folder, { recursive: true });
  cpSync(`${folder}.kept`, folder, { recursive: true });

  await fleet.kill(worker);
  const journal = `${fleet.folder}/worker-a/worker/journal.db`;
  const version = versionOf(journal);
  change(journal, "PRAGMA user_version = 99");
  const newer = fleet.spawnWorker("a");
  expect(await newer.exited).toBe(1);
  expect(readFileSync(newer.logFile, "utf8")).toMatch(
    /journal\.db has version 99, and this Muster knows up to \d+: start the newer Muster/,
  );
  change(journal, `PRAGMA user_version = ${version}`);

  await fleet.startManager();
  await fleet.startWorker("a");
  await bystander.endsTruly();
});

test("a journal whose tail was torn costs nothing; one that is broken is moved aside, and what ran under it is called lost", async () => {
  await using fleet = await Fleet.start({ MUSTER_HEARTBEAT_MS: "800" });
  let worker = await fleet.startWorker("a");
  const bystander = await startBystander(fleet);
  const folder = `${fleet.folder}/worker-a/worker`;
  const running = (id: string): Promise<true> =>
    until(`${id} to be running`, async () => (await fleet.run(id)).state === "running");
  await fleet.kill(worker);
  expect(statSync(`${folder}/journal.db-wal`).size).toBeGreaterThan(0);
  appendFileSync(`${folder}/journal.db-wal`, Buffer.alloc(3_000, 0x5a));
  worker = await fleet.startWorker("a");
  await running(bystander.id);
  await bystander.endsTruly();

  const taskId = await fleet.task({ name: "left", run: { driver: "exec", program: "/bin/sleep", args: ["600"] } });
  const [left = ""] = await fleet.startRuns(taskId, 1);
  await running(left);
  await fleet.kill(worker);
  rmSync(`${folder}/journal.db-wal`);
  writeFileSync(`${folder}/journal.db`, Buffer.alloc(20_000, "no pages of a journal"));
  worker = fleet.spawnWorker("a");
  await until("a word about it", () =>
    /journal\.db was malformed .* is now .*corrupt-1; this worker begins a new journal/.test(
      readFileSync(worker.logFile, "utf8"),
    ),
  );
  expect(readFileSync(`${folder}/journal.db.corrupt-1`, "latin1")).toContain("no pages of a journal");
  expect(await fleet.ended(left)).toMatchObject({ state: "lost", reason: "lost: its worker came back without it" });
  const after = await fleet.task({ name: "after", run: { driver: "exec", program: "/bin/true" } });
  const [next = ""] = await fleet.startRuns(after, 1);
  expect(await fleet.ended(next)).toMatchObject({ state: "succeeded", workerId: "a" });
});

/** Puts the manager's folder on a disk of this size; undefined when this user may not. */
function onSmallDisk(folder: string, mebibytes: number): (() => void) | undefined {
  cpSync(folder, `${folder}.kept`, { recursive: true });
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder]);
  if (mounted.status !== 0) return undefined;
  cpSync(`${folder}.kept`, folder, { recursive: true });
  return () => void spawnSync("umount", ["-l", folder]);
}

test("the manager's disk is full: what is not taken is said, what was taken is kept, and what ran ends truly", async (ctx) => {
  await using fleet = await Fleet.start();
  if (!fleet.manager) throw new Error("no manager");
  await fleet.kill(fleet.manager);
  const folder = `${fleet.folder}/manager`;
  const unmount = onSmallDisk(folder, 32);
  if (!unmount) return ctx.skip("a small file system cannot be mounted here");
  try {
    await fleet.startManager();
    await fleet.startWorker("a");
    const bystander = await startBystander(fleet);
    const make = (name: string, chars: number): ReturnType<Fleet["call"]> =>
      fleet.call("POST", "/tasks", {
        name,
        run: { driver: "script", interpreter: "sh", script: `# ${name.padEnd(chars, "x")}` },
      });
    expect((await make("before", 500_000)).status).toBe(201);
    for (const size of [1_048_576, 4_096])
      spawnSync("sh", ["-c", `while head -c ${size} /dev/zero >> ${folder}/ballast 2>/dev/null; do :; done`]);

    // Large content is stored before it is asked for, so it is refused at once; what is small waits for its commit.
    const large = await make("large", 500_000);
    const asked = new Map<string, ReturnType<Fleet["call"]>>();
    const health = await until("health to say so", async () => {
      const name = `during-${asked.size}`;
      asked.set(name, make(name, 20_000));
      const seen = await fleet.call("GET", "/health");
      return seen.status === 503 && seen.body;
    });
    expect(JSON.stringify(health.checks)).toMatch(/the last commit does not hold since .* full/);
    const refused = await make("refused", 1);
    for (const answer of [large, refused]) {
      expect(answer).toMatchObject({ status: 503, body: { code: "not-taken", detail: expect.stringMatching(/full/) } });
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect((await fleet.run(bystander.id)).state).toBe("running");
    bystander.letGo();
    const exit = `${fleet.folder}/worker-a/worker/attempts/${bystander.attemptId}/exit`;
    await until("its process to have ended meanwhile", () => readFileSync(exit, "utf8").includes(" 7 end"));

    rmSync(`${folder}/ballast`);
    for (const [name, answer] of asked) {
      const { status, body } = await answer;
      const found = (await fleet.call("GET", `/tasks?name=${name}`)).body.items.length;
      if (status === 201) expect(found, name).toBe(1);
      else {
        expect(status, name).toBe(503);
        if (body.code === "not-taken") expect(found, name).toBe(0);
      }
    }
    await bystander.endsTruly();
    await until("health to be well again", async () => (await fleet.call("GET", "/health")).status === 200);
    for (const name of ["large", "refused"]) expect((await make(name, 500_000)).status).toBe(201);
  } finally {
    unmount();
  }
});
