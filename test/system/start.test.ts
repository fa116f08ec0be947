import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { triesOf } from "../kit/api-client.ts";
import { anotherPress } from "../kit/presses.ts";
import { freePorts } from "../kit/ports.ts";
import { pidsThatMention, sweep } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";

const launcher = join(import.meta.dirname, "../../scripts/muster.mjs");
let folder: string;
let ports: readonly number[];
let started: Started[];

interface Started {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown[]>;
  said(): string;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "muster-start-"));
  ports = await freePorts(2);
  started = [];
});
afterEach(async () => {
  for (const one of started) {
    one.process.kill("SIGTERM");
    await one.exited;
  }
  sweep(folder);
  rmSync(folder, { recursive: true, force: true });
});

function start(env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [launcher, "start"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      MUSTER_HTTP_PORT: String(ports[0]),
      MUSTER_BROKER_PORT: String(ports[1]),
      ...env,
    },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (more: string) => (text += more));
  const one = { process: child, exited: once(child, "exit"), said: () => text };
  started.push(one);
  return one;
}

async function isUp(one: Started): Promise<void> {
  await until(
    "the system to be up",
    () => {
      if (one.process.exitCode !== null) throw new Error(`it ended:\n${one.said()}`);
      return one.said().includes("Ctrl-C stops Muster");
    },
    60_000,
  );
}

const tokenIn = (text: string): string => /MUSTER_TOKEN=(mst_\S+);/.exec(text)?.[1] ?? "";
const pasteIn = (text: string): string => text.split("\n").find((line) => line.startsWith("export MUSTER_URL")) ?? "";

async function api(method: string, path: string, token: string, body?: unknown): Promise<any> {
  const response = await fetch(`http://127.0.0.1:${ports[0]}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return await response.json();
}

/** Starts a run that lasts until its gate is there, and returns its id once it runs. */
async function lasting(token: string): Promise<string> {
  const script = `echo "$$" >> ${folder}/witness; while [ ! -e ${folder}/gate ]; do sleep 0.2; done; exit 5`;
  const task = await api("PUT", "/tasks/by-name/lasting", token, {
    run: { driver: "script", interpreter: "sh", script },
    killGraceSeconds: 1,
  });
  const run = await api("POST", `/tasks/${task.id}/start`, token);
  await until("the run to run", async () => (await api("GET", `/runs/${run.id}`, token)).state === "running", 20_000);
  return run.id as string;
}

test("the first start prints a token and a line to paste, which runs a script; the second finds everything again", async () => {
  const first = start();
  await isUp(first);
  const pasted = spawnSync("bash", ["-c", pasteIn(first.said())], { encoding: "utf8" });
  expect(pasted.stderr).toBe("");
  const [run, output] = pasted.stdout.trimEnd().split("\n") as [string, string];
  expect(JSON.parse(run)).toMatchObject({
    state: "succeeded",
    end: { how: "exited", code: 0 },
    workerId: "local",
    result: expect.any(Number),
  });
  expect(output).toMatch(/^Hello from \S+, it is \d\d:\d\d:\d\d$/);
  expect(statSync(join(folder, "data")).mode & 0o777).toBe(0o700);
  const token = tokenIn(first.said());
  first.process.kill("SIGINT");
  expect(await first.exited).toEqual([0, null]);

  const second = start();
  await isUp(second);
  expect(second.said()).not.toContain("mst_");
  expect((await api("GET", `/runs/${JSON.parse(run).id}`, token)).state).toBe("succeeded");
  const before = statSync(join(folder, "data/credentials.json")).ino;
  expect((await api("GET", "/workers/local", token)).state).toBe("online");
  expect(statSync(join(folder, "data/credentials.json")).ino).toBe(before);
});

test("Ctrl-C leaves what runs running, and the next start takes it up", async () => {
  const first = start();
  await isUp(first);
  const token = tokenIn(first.said());
  const id = await lasting(token);
  // As a terminal and npm send it: the same press twice.
  first.process.kill("SIGINT");
  first.process.kill("SIGINT");
  expect(await first.exited).toEqual([0, null]);
  expect(first.said()).toContain("1 of its processes go on");
  const pid = Number(readFileSync(join(folder, "witness"), "utf8"));
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  const second = start();
  await isUp(second);
  expect((await api("GET", `/runs/${id}`, token)).attempts[0].pid).toBeTypeOf("number");
  spawnSync("touch", [join(folder, "gate")]);
  const ended = await until(
    "the run to end",
    async () => {
      const run = await api("GET", `/runs/${id}?waitSeconds=5`, token);
      return run.endedAt !== null && run;
    },
    60_000,
  );
  expect(ended).toMatchObject({ state: "failed", end: { how: "exited", code: 5 } });
  expect(triesOf(ended)).toHaveLength(1);
});

test("a second Ctrl-C stops what runs", async () => {
  const one = start();
  await isUp(one);
  await lasting(tokenIn(one.said()));
  one.process.kill("SIGINT");
  await until("the first to be taken", () => one.said().includes("1 of its processes go on"));
  await anotherPress();
  one.process.kill("SIGINT");
  expect(await one.exited).toEqual([0, null]);
  expect(one.said()).toContain("all processes have ended");
  const pid = Number(readFileSync(join(folder, "witness"), "utf8"));
  expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test("a manager that dies is started again, with one line", async () => {
  const one = start();
  await isUp(one);
  const all = spawnSync("pgrep", ["-f", "manager/main.ts"], { encoding: "utf8" }).stdout.trim().split("\n").map(Number);
  const ours = new Set(pidsThatMention(folder));
  const mine = all.filter((pid) => ours.has(pid));
  expect(mine).toHaveLength(1);
  process.kill(mine[0] as number, "SIGKILL");
  await until("the line", () => one.said().includes("the manager ended (SIGKILL); it is started again in 1 s"), 20_000);
  await until(
    "the API to answer and the worker to be back",
    async () => (await api("GET", "/workers/local", tokenIn(one.said())).catch(() => ({}))).state === "online",
    30_000,
  );
});

test.each([
  ["the API's", 0, "MUSTER_HTTP_PORT"],
  ["the broker's", 1, "MUSTER_BROKER_PORT"],
] as const)(
  "when %s port is busy, the setting that moves it is named, and nothing is left running",
  async (_name, which, setting) => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(ports[which], "127.0.0.1", resolve));
    try {
      const one = start();
      expect(await one.exited).toEqual([1, null]);
      expect(one.said()).toContain(setting);
      expect(pidsThatMention(folder)).toEqual([]);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

test.each([
  ["on the same data folder", "data", "Another manager uses the data folder"],
  ["on the same ports", "other", "set MUSTER_"],
] as const)("a second Muster %s says so and leaves the first one alone", async (_name, dataDir, sentence) => {
  const first = start();
  await isUp(first);
  const second = start({ MUSTER_DATA_DIR: dataDir });
  expect(await second.exited).toEqual([1, null]);
  expect(second.said()).toContain(sentence);
  expect(second.said()).toContain("the manager did not come up");
  expect(second.said()).not.toMatch(/started again|worker/);
  expect((await api("GET", "/workers/local", tokenIn(first.said()))).state).toBe("online");
});

test("kill -9 of the parent ends manager and worker, so that the next start finds its ports free", async () => {
  const one = start();
  await isUp(one);
  const parent = Number(spawnSync("pgrep", ["-P", String(one.process.pid)], { encoding: "utf8" }).stdout.trim());
  process.kill(parent, "SIGKILL");
  await one.exited;
  await until(
    "nobody to listen",
    async () =>
      await fetch(`http://127.0.0.1:${ports[0]}/livez`).then(
        () => false,
        () => true,
      ),
    20_000,
  );
  const next = start();
  await isUp(next);
});

test("with certificates of a private authority, which its broker's clients must show as well, it comes up", async () => {
  const pem = (name: string): string => join(import.meta.dirname, "../broker/tls", name);
  const one = start({
    MUSTER_BROKER_CERT: pem("server.pem"),
    MUSTER_BROKER_KEY: pem("server.key"),
    MUSTER_BROKER_CA: pem("ca.pem"),
    MUSTER_BROKER_CLIENT_CA: pem("ca.pem"),
  });
  await isUp(one);
  expect(one.said()).toContain(`mqtts://127.0.0.1:${ports[1]}`);
});
