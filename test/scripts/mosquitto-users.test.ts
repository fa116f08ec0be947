import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { addClient, mosquittoPasswd, openCredentials } from "../../broker/credentials.ts";
import { compileCache } from "../kit/compile-cache.ts";

const script = join(import.meta.dirname, "../../scripts/mosquitto-users.ts");
let folder: string;
let credentials: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-users-"));
  credentials = join(folder, "data/credentials.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(args: readonly string[], env: Record<string, string> = {}) {
  const all = { PATH: process.env["PATH"] ?? "", ...compileCache, MUSTER_DATA_DIR: join(folder, "data"), ...env };
  return spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: "utf8", env: all });
}

test("everybody of credentials.json stands in the file, and the manager's password is shown when it is made", () => {
  addClient(credentials, { username: "edge-7", pool: "default", role: "worker" });
  const first = run(["passwd"]);
  expect(first).toMatchObject({ status: 0, stderr: "" });
  const password = /MUSTER_BROKER_PASSWORD=(\S+) /.exec(first.stdout)?.[1] ?? "";
  expect(openCredentials(credentials).verifyClient("manager", password)).toEqual({ pool: "default", role: "manager" });
  const text = readFileSync(join(folder, "passwd"), "utf8");
  expect(text).toBe(mosquittoPasswd(credentials));
  expect(text.split("\n").map((line) => line.split(":")[0])).toEqual(["edge-7", "manager", ""]);
  expect(statSync(join(folder, "passwd")).mode & 0o777).toBe(0o600);
  expect(run(["passwd"])).toMatchObject({ status: 0, stdout: "", stderr: "" });
  expect(readFileSync(join(folder, "passwd"), "utf8")).toBe(text);
});

test("with --preset the manager's password is the one that is given, at each run", () => {
  for (const password of ["the-first-password-0123456789", "the-second-password-0123456789"]) {
    const done = run(["passwd", "--preset"], { MUSTER_BROKER_PASSWORD: password });
    expect(done).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(openCredentials(credentials).verifyClient("manager", password)?.role).toBe("manager");
    expect(readFileSync(join(folder, "passwd"), "utf8")).toBe(mosquittoPasswd(credentials));
  }
});

test.each([
  [[], {}, "muster mosquitto:users: it takes one file: mosquitto:users <file> [--preset]\n"],
  [["a", "b"], {}, "muster mosquitto:users: it takes one file: mosquitto:users <file> [--preset]\n"],
  [["passwd", "--preset"], {}, "--preset takes the manager's password from MUSTER_BROKER_PASSWORD, which is not given\n"],
  [["passwd", "--preset"], { MUSTER_BROKER_PASSWORD: "short" }, "a password must have at least 24 characters; it has 5\n"],
  [["no/such/folder/passwd"], {}, "/no/such/folder/passwd cannot be written: "],
])("%j is refused", (args, env, sentence) => {
  const done = run(args, env);
  expect(done.status).toBe(1);
  expect(done.stderr).toContain(sentence);
});
