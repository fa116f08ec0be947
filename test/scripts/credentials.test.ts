import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openCredentials, removeClient } from "../../broker/credentials.ts";
import { prepareCredentials } from "../../scripts/start/credentials.ts";
import { compileCache } from "../kit/compile-cache.ts";

const root = join(import.meta.dirname, "../..");
let dataDir: string;
beforeEach(() => {
  dataDir = join(mkdtempSync(join(tmpdir(), "muster-credentials-")), "data");
});
afterEach(() => rmSync(join(dataDir, ".."), { recursive: true, force: true }));

function script(name: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [join(root, "scripts", `${name}.ts`), ...args], {
    cwd: join(dataDir, ".."),
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", ...compileCache, ...env },
  });
}

const prepare = (more: Partial<Parameters<typeof prepareCredentials>[0]> = {}) =>
  prepareCredentials(
    { dataDir, adminToken: null, workerId: "local", pool: "default", databaseUrl: null, ...more },
    () => undefined,
  );
const credentials = () => openCredentials(join(dataDir, "credentials.json"));

describe("the first start", () => {
  test("makes a token and a password; a second one finds both again", async () => {
    const first = await prepare();
    expect(credentials().verifyToken(first.token as string)).toEqual({ name: "admin" });
    const password = readFileSync(first.passwordFile, "utf8").trimEnd();
    expect(credentials().verifyClient("local", password)).toMatchObject({ pool: "default", role: "worker" });
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(statSync(first.passwordFile).mode & 0o777).toBe(0o600);
    const before = readFileSync(join(dataDir, "credentials.json"), "utf8");
    const second = await prepare();
    expect(second.token).toBeUndefined();
    expect(readFileSync(second.passwordFile, "utf8").trimEnd()).toBe(password);
    expect(readFileSync(join(dataDir, "credentials.json"), "utf8")).toBe(before);
  });

  test("keeps no token's text anywhere", async () => {
    const { token } = await prepare();
    expect(readFileSync(join(dataDir, "credentials.json"), "utf8")).not.toContain(token);
  });

  test("takes a preset token and shows none", async () => {
    const preset = "mst_preset-for-this-very-test-0123456789";
    expect((await prepare({ adminToken: preset })).token).toBeUndefined();
    expect(credentials().verifyToken(preset)).toEqual({ name: "admin" });
  });

  test.each([
    ["was removed", () => void removeClient(join(dataDir, "credentials.json"), "local"), {}],
    ["is of another password", () => writeFileSync(join(dataDir, "worker-password"), "wrong\n"), {}],
    ["is of another pool", () => {}, { pool: "edge" }],
  ])("makes the worker's password anew when its client %s", async (_name, spoil, more) => {
    await prepare();
    spoil();
    const { passwordFile } = await prepare(more);
    expect(credentials().verifyClient("local", readFileSync(passwordFile, "utf8").trimEnd())).toBeDefined();
  });
});

describe("npm run token", () => {
  test("prints a new token and nothing else, and the old one no longer works", async () => {
    const old = (await prepare()).token as string;
    const done = script("token");
    expect(done.stdout).toMatch(/^mst_[A-Za-z0-9_-]{43}\n$/);
    expect(credentials().verifyToken(done.stdout.trim())).toEqual({ name: "admin" });
    expect(credentials().verifyToken(old)).toBeUndefined();
  });

  test.each([["--help"], ["--wrong"], ["word"]])("makes none when it is given %s", async (argument) => {
    const old = (await prepare()).token as string;
    const done = script("token", [argument]);
    expect(done.status).toBe(argument === "--help" ? 0 : 1);
    expect(done.stdout + done.stderr).toContain(argument === "--help" ? "Usage: npm run token" : "it takes no arguments");
    expect(credentials().verifyToken(old)).toBeDefined();
  });

  test.each([
    ["no data folder", {}, "there is no data folder"],
    ["a preset token", { MUSTER_ADMIN_TOKEN: "x".repeat(30) }, "MUSTER_ADMIN_TOKEN presets the token here"],
  ])("says what is wrong with %s", async (name, env, sentence) => {
    if (name !== "no data folder") await prepare();
    const done = script("token", [], env);
    expect(done.stderr).toContain(`muster token: ${sentence}`);
    expect([done.status, done.stdout]).toEqual([1, ""]);
  });
});

describe("npm run worker:add", () => {
  test("--help says what it takes, and lets nobody in", async () => {
    await prepare();
    const done = script("worker-add", ["edge-1", "--help"]);
    expect([done.status, done.stderr]).toEqual([0, ""]);
    expect(done.stdout).toContain("--replace");
    expect(readFileSync(join(dataDir, "credentials.json"), "utf8")).not.toContain("edge-1");
  });

  test("prints one line that a worker can be started by", async () => {
    await prepare();
    const done = script("worker-add", ["edge-1", "--pool", "edge"], {
      MUSTER_BROKER_HOST: "0.0.0.0",
      MUSTER_MANAGER_URL: "https://muster.example",
    });
    const line =
      /^MUSTER_WORKER_ID=edge-1 MUSTER_POOL=edge MUSTER_BROKER_URL=mqtt:\/\/\S+:7071 MUSTER_BROKER_PASSWORD=(\S+) MUSTER_MANAGER_URL=https:\/\/muster\.example npm run worker\n$/;
    expect(done.stdout).toMatch(line);
    expect(credentials().verifyClient("edge-1", line.exec(done.stdout)?.[1] as string)).toMatchObject({
      pool: "edge",
      role: "worker",
    });
  });

  test("a worker that can only be on this host gets a folder of its own", async () => {
    await prepare();
    const done = script("worker-add", ["second"]);
    expect(done.stdout).toContain("MUSTER_DATA_DIR=data-second MUSTER_WORKER_ID=second");
    expect(done.stderr).toContain("The broker listens on 127.0.0.1 only");
  });

  test.each([
    ["no id", [], "it takes one id"],
    ["a bad id", ["a/b"], `the worker's id "a/b" must be 1 to 36 characters`],
    ["a bad pool", ["a", "--pool", "#"], `the pool "#" must be`],
    ["an id that is let in already", ["local"], "local is let in already; with --replace"],
    ["the manager's name", ["manager"], "manager"],
    ["an unknown flag", ["a", "--wrong"], "Unknown option '--wrong': npm run worker:add -- <id>"],
  ])("says what is wrong with %s", async (_name, args, sentence) => {
    await prepare();
    const before = readFileSync(join(dataDir, "credentials.json"), "utf8");
    const done = script("worker-add", args);
    expect(done.stderr).toContain(sentence);
    expect([done.status, done.stdout]).toEqual([1, ""]);
    expect(readFileSync(join(dataDir, "credentials.json"), "utf8")).toBe(before);
  });
});
