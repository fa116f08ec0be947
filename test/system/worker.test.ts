import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFailed, test } from "vitest";
import { HandManager } from "../kit/hand-manager.ts";
import { workerPair } from "../kit/pair.ts";
import { until } from "../kit/until.ts";
import { WorkerProcess } from "../kit/worker-process.ts";

test("from hello to end: a start is accepted, runs, ends, and its output and result arrive whole", async () => {
  await using it = await workerPair();
  const { manager, worker } = it;
  expect(manager.statuses.at(-1)).toMatchObject({ st: "on" });
  expect(manager.hellos[0]).toMatchObject({
    http: false,
    capacity: { slots: 50 },
    facts: { os: "linux" },
    inventory: { part: 1, of: 1, items: [] },
  });
  await manager.send(manager.script("a1", 'echo "out of $0"; echo err >&2; printf "{\\"n\\":7}" > "$MUSTER_RESULT"; exit 3'));
  const end = await manager.endOf("a1");
  expect(end).toMatchObject({ end: { how: "exited", code: 3 }, result: { n: 7 }, pid: expect.any(Number) });
  expect(manager.kinds("a1")).toEqual(["accepted", "running", "end"]);
  await until(
    "the output",
    () =>
      manager.logs.bytes("a1", "stderr").toString() === "err\n" &&
      manager.logs.bytes("a1", "stdout").toString().startsWith("out of"),
  );
  await until("the folder to go", () => !existsSync(worker.attemptFolder("a1")));
});

test("a process has nothing of the agent's environment", async () => {
  await using it = await workerPair({ SECRET_OF_THE_AGENT: "agent's own" });
  const { manager } = it;
  await manager.send(manager.script("env", "env; echo; tr '\\0' '\\n' < /proc/self/environ", { env: { OF_THE_TASK: "yes" } }));
  await manager.endOf("env");
  const seen = await until("its output", () => {
    const text = manager.logs.bytes("env", "stdout").toString();
    return text.includes("OF_THE_TASK=yes") ? text : undefined;
  });
  expect(seen).not.toMatch(/SECRET_OF_THE_AGENT|agent's own|password|MUSTER_BROKER|MUSTER_DATA_DIR/);
});

test("output that is binary, or one line of 10 MB, arrives byte for byte while heartbeats go on", async () => {
  await using it = await workerPair();
  const { manager, worker } = it;
  const binary = randomBytes(1_000_000);
  writeFileSync(join(worker.folder, "binary"), binary);
  await manager.send(
    manager.script("bin", `cat ${worker.folder}/binary`),
    manager.script("line", "head -c 10485760 /dev/zero | tr '\\0' x"),
  );
  await manager.endOf("bin");
  await manager.endOf("line");
  await until(
    "all of it",
    () => manager.logs.end("bin", "stdout") === 1_000_000 && manager.logs.end("line", "stdout") === 10_485_760,
    60_000,
  );
  expect(manager.logs.bytes("bin", "stdout").equals(binary)).toBe(true);
  expect(manager.logs.bytes("line", "stdout").every((byte) => byte === 120)).toBe(true);
  await manager.synced();
});

test("output that never stops keeps the worker's disk bounded, and every byte is shipped or told of as a gap", async () => {
  await using it = await workerPair();
  const { manager, worker } = it;
  const cap = 1_000_000;
  const file = join(worker.attemptFolder("flood"), "stdout");
  await manager.send(manager.script("flood", "exec yes", { limits: { logStreamBytes: cap, resultBytes: 1 } }));
  await until(
    "300 MB to be written and most of them to be freed",
    () => {
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat !== undefined && stat.size > 300_000_000 && stat.blocks * 512 < stat.size / 2;
    },
    60_000,
  );
  await manager.send({ kind: "stop", attempt: "flood", by: "ana", graceSeconds: 5 });
  await manager.endOf("flood");
  await until("the folder to go", () => !existsSync(worker.attemptFolder("flood")));
  expect(manager.logs.bytes("flood", "stdout").toString()).toBe("y\n".repeat(cap / 2));
  const gaps = manager.logs.gaps("flood", "stdout");
  expect(gaps.reduce((sum, gap) => sum + gap.bytes, 0)).toBe(manager.logs.end("flood", "stdout") - cap);
  expect(manager.logs.end("flood", "stdout")).toBeGreaterThan(300_000_000);
  expect(gaps.length).toBeLessThan(30);
});

test("a repeated start is answered and not obeyed, also after its end", async () => {
  await using it = await workerPair();
  const { manager, worker } = it;
  const start = manager.script("twice", `echo started >> ${worker.folder}/witness`);
  await manager.send(start, start);
  await manager.endOf("twice");
  await manager.send(start);
  await until("the answer", () => manager.kinds("twice").filter((kind) => kind === "end").length === 2);
  await until("its output", () => existsSync(join(worker.folder, "witness")));
  expect(readFileSync(join(worker.folder, "witness"), "utf8")).toBe("started\n");
});

test("stop: TERM first, KILL after the grace; a stop that comes before its start keeps it from ever starting", async () => {
  await using it = await workerPair();
  const { manager } = it;
  await manager.send(
    manager.script("polite", "trap 'exit 0' TERM; while :; do sleep 0.1; done"),
    manager.script("stubborn", "trap '' TERM; while :; do sleep 0.1; done"),
  );
  await manager.running("polite");
  await manager.running("stubborn");
  await manager.send(
    { kind: "stop", attempt: "polite", by: "ana", graceSeconds: 20 },
    { kind: "stop", attempt: "stubborn", by: "ana", graceSeconds: 0.3 },
  );
  expect((await manager.endOf("polite")).end).toEqual({ how: "stopped", by: "ana" });
  expect((await manager.endOf("stubborn")).end).toEqual({ how: "stopped", by: "ana" });
  await manager.send({ kind: "stop", attempt: "never", by: "ana", graceSeconds: 1 });
  await manager.send(manager.script("never", "echo ran"));
  expect((await manager.endOf("never")).end).toEqual({ how: "stopped", by: "ana" });
  expect(manager.kinds("never")).not.toContain("running");
});

test("what cannot start says why; rubbish on the wire disturbs nobody", async () => {
  await using it = await workerPair();
  const { manager } = it;
  await manager.sendRaw("rubbish");
  await manager.sendRaw(JSON.stringify({ v: 7 }));
  await manager.sendRaw(Buffer.from([0xff, 0xfe]));
  await manager.send(
    { kind: "fly" } as never,
    manager.startItem("program", { driver: "exec", program: "/no/such/program" }),
    manager.startItem("folder", { driver: "exec", program: "/bin/true", workingDirectory: "/no/such/folder" }),
    manager.startItem("interpreter", { driver: "script", interpreter: "bat", script: "dir", scriptBase64: null }),
    manager.startItem("user", { driver: "exec", program: "/bin/true", user: "nobody-of-that-name" }),
    manager.startItem("driver", { driver: "made-up", options: {} }),
    { kind: "logsAck", attempt: "unknown", stream: "stdout", offset: 5 },
    { kind: "signal", attempt: "unknown", signal: "SIGUSR1" },
    manager.script("fine", "exit 0"),
  );
  expect((await manager.endOf("fine")).end).toEqual({ how: "exited", code: 0 });
  for (const attempt of ["program", "folder", "interpreter", "user"]) {
    expect((await manager.endOf(attempt)).end, attempt).toMatchObject({
      how: "failedToStart",
      why: expect.stringMatching(/\w+ \w+/),
    });
  }
  const { end } = await manager.endOf("driver");
  expect(["failedToStart", "refused"]).toContain(end.how);
  expect(JSON.stringify(end)).toContain("made-up");
});

test("a stranger's driver, named by its absolute path, runs", async () => {
  const stack = new AsyncDisposableStack();
  await using _all = stack;
  const manager = stack.use(await HandManager.start("w"));
  const worker = stack.use(new WorkerProcess("w", manager.port));
  onTestFailed(() => console.log(worker.output.slice(-5_000)));
  const types = join(import.meta.dirname, "../../worker/drivers/driver.ts");
  writeFileSync(
    join(worker.folder, "shout.ts"),
    `import type { Driver } from ${JSON.stringify(types)};
const driver: Driver = {
  name: "shout",
  prepare(spec, host) {
    const options = spec["options"] as { text?: string };
    if (options.text === undefined) return { why: "shout needs a text" };
    return { program: "/bin/sh", args: ["-c", "printf '%s!' \\"$TEXT\\"; cat \\"$1\\"", "sh", host.folder + "/said"], files: [{ name: "said", bytes: new TextEncoder().encode(" indeed"), executable: false }], env: { TEXT: options.text.toUpperCase() } };
  },
};
export default driver;
`,
  );
  worker.start([], { MUSTER_DRIVERS: join(worker.folder, "shout.ts") });
  await manager.synced();
  expect(manager.hellos[0]?.facts.drivers).toContain("shout");
  await manager.send(
    manager.startItem("loud", { driver: "shout", options: { text: "hello" } }),
    manager.startItem("mute", { driver: "shout", options: {} }),
  );
  expect((await manager.endOf("loud")).end).toEqual({ how: "exited", code: 0 });
  expect((await manager.endOf("mute")).end).toEqual({ how: "failedToStart", why: "shout needs a text" });
  await until("its output", () => manager.logs.bytes("loud", "stdout").toString() === "HELLO! indeed");
});
