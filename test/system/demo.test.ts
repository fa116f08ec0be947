import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { freePorts } from "../kit/ports.ts";

const launcher = join(import.meta.dirname, "../../scripts/muster.mjs");

function demo(env: Record<string, string>) {
  return spawnSync(process.execPath, [launcher, "demo"], { encoding: "utf8", env: { PATH: process.env["PATH"] ?? "", ...env } });
}

/** What the demo says of its run, whatever the system it ran on. */
function expectRun(said: string): void {
  expect(said).toMatch(/^task \S+ made from \S+census\.sh$/m);
  expect(said.match(/^ {2}\| line \d of 6, counted on \S+$/gm)).toHaveLength(6);
  expect(said).toMatch(/^run \S+ succeeded: \{"how":"exited","code":0\}, result \{"lines":6,"words":30\}$/m);
}

test("the demo runs on a system of its own, and leaves nothing of it", () => {
  const temporary = mkdtempSync(join(tmpdir(), "muster-demo-test-"));
  const done = demo({ TMPDIR: temporary });
  expect(done.stderr).toBe("");
  expectRun(done.stdout);
  expect(done.status).toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
  rmSync(temporary, { recursive: true });
});

test("the demo runs on the system that MUSTER_URL and MUSTER_TOKEN name", async () => {
  await using fleet = await Fleet.start();
  await fleet.startWorker("a");
  const done = demo({ MUSTER_URL: fleet.url, MUSTER_TOKEN: fleet.token });
  expect(done.stderr).toBe("");
  expectRun(done.stdout);
  expect(done.stdout).toContain(`on ${fleet.url}`);
  expect((await fleet.call("GET", "/tasks?name=demo")).body.items).toHaveLength(1);
});

test("a token that is not one is said", async () => {
  await using fleet = await Fleet.start();
  const done = demo({ MUSTER_URL: fleet.url, MUSTER_TOKEN: "mst_wrong" });
  expect(done.stderr).toContain("muster demo: PUT /tasks/by-name/demo: 401");
  expect(done.status).toBe(1);
});

test("an address where nobody answers is said", async () => {
  const [port] = await freePorts(1);
  const done = demo({ MUSTER_URL: `http://127.0.0.1:${port}`, MUSTER_TOKEN: "mst_any" });
  expect(done.stderr).toBe(`muster demo: http://127.0.0.1:${port} does not answer (ECONNREFUSED); is Muster running there?\n`);
  expect(done.status).toBe(1);
});

test("a url without a token is said", () => {
  const done = demo({ MUSTER_URL: "http://127.0.0.1:9" });
  expect(done.stderr).toBe("muster demo: MUSTER_URL and MUSTER_TOKEN are given both or not at all\n");
  expect(done.status).toBe(2);
});
