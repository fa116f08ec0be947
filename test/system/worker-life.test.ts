import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFailed, test } from "vitest";
import { HandManager } from "../kit/hand-manager.ts";
import { freePorts } from "../kit/ports.ts";
import { workerPair } from "../kit/pair.ts";
import { anotherPress } from "../kit/presses.ts";
import { until } from "../kit/until.ts";
import { WorkerProcess } from "../kit/worker-process.ts";

/** Waits in the script until the file is there. */
const waitFor = (gate: string): string => `while [ ! -e ${gate} ]; do sleep 0.1; done`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function health(worker: WorkerProcess, port: number): { readonly code: number; readonly sentence: string } {
  const env = {
    PATH: process.env["PATH"],
    MUSTER_DATA_DIR: worker.folder,
    MUSTER_WORKER_ID: "w",
    MUSTER_BROKER_URL: `mqtt://127.0.0.1:${port}`,
  };
  try {
    return { code: 0, sentence: execFileSync(process.execPath, ["worker/main.ts", "--health"], { env, encoding: "utf8" }) };
  } catch (error) {
    const failed = error as { readonly status: number; readonly stdout: string };
    return { code: failed.status, sentence: failed.stdout };
  }
}

test("kill -9 of the agent: 20 processes are adopted with their pids, and their codes and whole output arrive", async () => {
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  const gate = join(worker.folder, "gate");
  const ids = Array.from({ length: 20 }, (_, index) => `a${index}`);
  await manager.send(
    ...ids.map((id, code) =>
      manager.script(id, `echo "$$" >> ${worker.folder}/witness; echo before; ${waitFor(gate)}; echo after; exit ${code}`),
    ),
  );
  const pids = new Map<string, number | undefined>();
  for (const id of ids) pids.set(id, (await manager.running(id)).pid);
  await until("the first output", () => ids.every((id) => manager.logs.bytes(id, "stdout").toString() === "before\n"));
  agent.process.kill("SIGKILL");
  await agent.exited;
  await until("the last will", () => manager.statuses.at(-1)?.st === "gone");
  const hellos = manager.hellos.length;
  worker.start();
  await manager.synced();
  // A hello that is answered late comes again.
  const inventory = manager.hellos.slice(hellos).flatMap((hello) => hello.inventory.items);
  const running = new Set(inventory.filter((item) => item.state === "running").map((item) => item.attempt));
  expect([...running].toSorted()).toEqual(ids.toSorted());
  writeFileSync(gate, "");
  for (const [code, id] of ids.entries()) {
    const report = await manager.endOf(id);
    expect(report).toMatchObject({ end: { how: "exited", code }, pid: pids.get(id) });
    await until(`the output of ${id}`, () => manager.logs.bytes(id, "stdout").toString() === "before\nafter\n");
  }
  expect(readFileSync(join(worker.folder, "witness"), "utf8").trim().split("\n")).toHaveLength(20);
  await until("all folders to go", () => ids.every((id) => !existsSync(worker.attemptFolder(id))));
});

test("what ended while no agent ran, and what the manager had not acknowledged, arrives after the restart", async () => {
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  const gate = join(worker.folder, "gate");
  const done = join(worker.folder, "done");
  await manager.send(manager.script("late", `${waitFor(gate)}; echo late; touch ${done}; exit 4`));
  const { pid } = await manager.running("late");
  manager.acks = false;
  await manager.send(manager.script("unacked", "echo unacked; exit 5"));
  await until("the unacknowledged end to be heard", () =>
    manager.heard.some((report) => report.attempt === "unacked" && report.kind === "end"),
  );
  agent.process.kill("SIGKILL");
  await agent.exited;
  writeFileSync(gate, "");
  await until("the process to end", () => existsSync(done) && !isAlive(pid ?? 0));
  manager.acks = true;
  worker.start();
  expect((await manager.endOf("late")).end).toEqual({ how: "exited", code: 4 });
  expect((await manager.endOf("unacked")).end).toEqual({ how: "exited", code: 5 });
  await until(
    "both outputs",
    () =>
      manager.logs.bytes("late", "stdout").toString() === "late\n" &&
      manager.logs.bytes("unacked", "stdout").toString() === "unacked\n",
  );
});

test("SIGTERM: the worker leaves, says how many processes go on, and adopts them at its return", async () => {
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  const gate = join(worker.folder, "gate");
  await manager.send(manager.script("a", waitFor(gate)), manager.script("b", waitFor(gate)));
  const { pid } = await manager.running("a");
  await manager.running("b");
  agent.process.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  expect(worker.output).toContain("2 of its processes go on");
  // The broker may have taken it before it has passed it on.
  await until("off", () => manager.statuses.at(-1)?.st === "off");
  expect(isAlive(pid ?? 0)).toBe(true);
  worker.start();
  await manager.synced();
  writeFileSync(gate, "");
  expect(await manager.endOf("a")).toMatchObject({ end: { how: "exited", code: 0 }, pid });
  expect((await manager.endOf("b")).end).toEqual({ how: "exited", code: 0 });
});

test("SIGTERM with nothing running: it goes at once", async () => {
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  agent.process.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  expect(worker.output).toContain("none of its processes runs");
  // The broker may have taken it before it has passed it on.
  await until("off", () => manager.statuses.at(-1)?.st === "off");
});

test("a second Ctrl-C stops the processes, and their ends are told before the worker goes", async () => {
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  await manager.send(manager.script("a", "while :; do sleep 0.1; done"));
  const { pid } = await manager.running("a");
  agent.process.kill("SIGINT");
  // The terminal and a parent may both pass on one press.
  agent.process.kill("SIGINT");
  await until("the first press to be answered", () => worker.output.includes("processes go on"));
  expect(worker.output).not.toContain("worker stops");
  await anotherPress();
  agent.process.kill("SIGINT");
  await until("a second press to be counted", () => worker.output.includes("worker stops"));
  expect(await agent.exited).toBe(0);
  expect(isAlive(pid ?? 0)).toBe(false);
  expect((await manager.endOf("a")).end).toEqual({ how: "stopped", by: "worker shutdown" });
});

test("--stop-runs: one signal stops the processes first", async () => {
  await using it = await workerPair({}, ["--stop-runs"]);
  const { manager, agent } = it;
  await manager.send(manager.script("a", "while :; do sleep 0.1; done"));
  const { pid } = await manager.running("a");
  agent.process.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  expect(isAlive(pid ?? 0)).toBe(false);
  expect((await manager.endOf("a")).end).toEqual({ how: "stopped", by: "worker shutdown" });
  await until("off", () => manager.statuses.at(-1)?.st === "off");
});

test("--health says how the agent is: in touch, without a manager, gone", async () => {
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  await until("health", () => health(worker, manager.port).code === 0);
  expect(health(worker, manager.port).sentence).toMatch(/worker w is in touch with its manager: live attempts 0, free slots 50/);
  agent.process.kill("SIGKILL");
  await agent.exited;
  const gone = health(worker, manager.port);
  expect(gone).toMatchObject({ code: 1, sentence: expect.stringContaining("is not running") });
});

test("a second agent on one data folder, and a data folder that cannot be used, end with a sentence", async () => {
  await using it = await workerPair();
  const { worker } = it;
  const second = worker.start();
  expect(await second.exited).toBe(1);
  expect(worker.output).toMatch(/another worker runs on/);
  const unknown = worker.start([], { MUSTER_NO_SUCH_KEY: "1" });
  expect(await unknown.exited).toBe(2);
  expect(worker.output).toMatch(/MUSTER_NO_SUCH_KEY/);
});

test("a wrong password is a sentence and a slow retry; a broker that comes later is found", async () => {
  const [port = 0] = await freePorts(1);
  const stack = new AsyncDisposableStack();
  await using _all = stack;
  const worker = stack.use(new WorkerProcess("w", port));
  onTestFailed(() => console.log(worker.output.slice(-5_000)));
  const agent = worker.start();
  await until("the sentence about an absent broker", () => /not connected to the broker/.test(worker.output));
  await until("its health to say so", () => /not connected to the broker: .*127\.0\.0\.1/.test(health(worker, port).sentence));
  const manager = stack.use(await HandManager.start("w", port));
  await manager.synced();
  agent.process.kill("SIGTERM");
  await agent.exited;
  worker.start([], { MUSTER_BROKER_PASSWORD: "something else" });
  await until("the sentence about the password", () =>
    /password|not authori/i.test(worker.output.slice(worker.output.lastIndexOf("worker is up"))),
  );
  expect(worker.output).not.toContain("something else");
});
