import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readStat, type Stat } from "../../../worker/process/proc.ts";
import { until } from "../../kit/until.ts";
import { openRig, runs, type Rig } from "./kit.ts";

/** Waits until the attempt has printed `lines` lines, and returns them. */
function printed(rig: Rig, attempt: string, lines: number): Promise<string[]> {
  return until(`${lines} lines of ${attempt}`, () => {
    if (!existsSync(join(rig.host.folderOf(attempt), "stdout"))) return undefined;
    const seen = rig.output(attempt).toString().split("\n").slice(0, -1);
    return seen.length >= lines ? seen : undefined;
  });
}

describe("stopping", () => {
  test("TERM reaches the whole group, and the end says that it was asked for", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", "trap 'echo bye; exit 5' TERM; sleep 600 & echo $!; wait"]);
    const [child] = await printed(rig, attempt, 1);
    rig.host.terminate(attempt);
    expect(await rig.ended(attempt)).toMatchObject({ exit: { read: "code", code: 5 }, termBefore: true, timedOut: false });
    expect(rig.output(attempt).toString()).toContain("bye");
    expect(runs(Number(child))).toBe(false);
  });

  test("TERM asked for twice is sent once", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", [
      "-c",
      "trap 'echo term' TERM; echo ready; while read -r x; do :; done; while :; do sleep 0.05; done",
    ]);
    await printed(rig, attempt, 1);
    rig.host.terminate(attempt);
    await printed(rig, attempt, 2);
    rig.host.terminate(attempt);
    rig.host.signal(attempt, "SIGUSR2");
    await rig.ended(attempt);
    expect(rig.output(attempt).toString()).toBe("ready\nterm\n");
  });

  test("one that ignores TERM is ended by KILL, with all its children", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", "trap '' TERM; sleep 600 & echo $!; while :; do sleep 600; done"]);
    const [child] = await printed(rig, attempt, 1);
    rig.host.terminate(attempt);
    expect(runs(Number(child))).toBe(true);
    rig.host.kill(attempt);
    expect(await rig.ended(attempt)).toMatchObject({ exit: { read: "signal", signal: "SIGKILL" }, termBefore: true });
    expect(runs(Number(child))).toBe(false);
  });

  test("one that is stopped by SIGSTOP takes TERM", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("sleep", ["600"]);
    const { process } = await rig.started(attempt);
    rig.host.signal(attempt, "SIGSTOP");
    await until("it is stopped", () => /^State:\s+T/m.test(readFileSync(`/proc/${process.pid}/status`, "latin1")));
    rig.host.terminate(attempt);
    expect(await rig.ended(attempt)).toMatchObject({ termBefore: true });
  });

  test.for([
    ["setsid", "setsid sleep 600"],
    ["setsid and a cleared group", "setsid sh -c 'sleep 600 & exec sleep 601'"],
    ["a double fork", "(sh -c 'sleep 600 &' &)"],
    ["a double fork into a session of its own", "(setsid sh -c 'sleep 600 &' &)"],
    ["a cleared environment within the group", "env -i sleep 600"],
  ])("a process that escapes by %s dies with the attempt", async ([, escape]) => {
    await using rig = await openRig();
    // Each escapee has the marker in its arguments, so that this test can find it whatever it did to itself.
    const marker = String(600_000 + Math.floor(Math.random() * 399_999));
    const attempt = rig.launch("/bin/sh", ["-c", `${escape!.replaceAll("600", marker)} & echo ready; wait; sleep 600`]);
    await printed(rig, attempt, 1);
    const escapees = await until("the escapee runs", async () => {
      const found = await pidsWith(marker);
      return found.length > 0 && found;
    });
    rig.host.kill(attempt);
    await rig.ended(attempt);
    expect(escapees.filter(runs)).toEqual([]);
    expect(await pidsWith(marker)).toEqual([]);
  });

  test.for([
    ["in the group", "sleep 600 & echo $!"],
    ["with a cleared environment", "env -i sleep 600 & echo $!"],
    ["in a session of its own", "setsid sleep 600 & echo $!"],
  ])("what the program leaves behind %s is gone before its end is told", async ([, leave]) => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", `${leave}; exit 3`]);
    const end = await rig.ended(attempt);
    const left = Number(rig.output(attempt).toString());
    expect(left).toBeGreaterThan(1);
    expect(runs(left)).toBe(false);
    expect(end).toMatchObject({ exit: { read: "code", code: 3 }, termBefore: false });
  });

  test("stopped before it was launched, it never starts", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("sleep", ["600"]);
    rig.host.terminate(attempt);
    expect(await rig.notStarted(attempt)).toMatchObject({ how: "refused" });
    expect(existsSync(rig.host.folderOf(attempt))).toBe(false);
  });

  test("killed at any moment of its launch, it is told once and nothing of it stays", async () => {
    await using rig = await openRig();
    const attempts = Array.from({ length: 40 }, () => rig.launch("sleep", ["600"]));
    for (const attempt of attempts) {
      await new Promise((resolve) => setImmediate(resolve));
      rig.host.kill(attempt);
    }
    await until("all are told", () =>
      attempts.every((attempt) => rig.told.some(([kind, e]) => e.attempt === attempt && kind !== "started")),
    );
    for (const attempt of attempts)
      expect(rig.told.filter(([kind, e]) => e.attempt === attempt && kind !== "started")).toHaveLength(1);
    for (const [kind, event] of rig.told)
      if (kind === "started" && "process" in event) expect(runs(event.process.pid)).toBe(false);
  });

  test("a terminate that comes after the end changes nothing", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", "exit 143"]);
    await until(
      "its record",
      () =>
        existsSync(join(rig.host.folderOf(attempt), "exit")) &&
        readFileSync(join(rig.host.folderOf(attempt), "exit"), "latin1").includes("end"),
    );
    rig.host.terminate(attempt);
    expect(await rig.ended(attempt)).toMatchObject({ exit: { read: "code", code: 143 }, termBefore: false });
  });
});

describe("signals", () => {
  test.for(["SIGINT", "SIGQUIT", "SIGUSR1", "SIGTERM", "SIGHUP", "SIGKILL"])(
    "%s that was asked for is what ended it",
    async (signal) => {
      await using rig = await openRig();
      const attempt = rig.launch("sleep", ["600"]);
      await rig.started(attempt);
      rig.host.signal(attempt, signal);
      expect((await rig.ended(attempt)).exit).toEqual({ read: "signal", signal });
    },
  );

  test("that come between the start record and the program are not lost", async () => {
    await using rig = await openRig();
    const signals = ["SIGINT", "SIGQUIT", "SIGUSR1", "SIGTERM", "SIGHUP"];
    // Asked for while the shim is not there yet, so that each is sent the moment it is.
    const sent = Array.from({ length: 40 }, (_, i) => ({
      attempt: rig.launch("sleep", ["600"]),
      signal: signals[i % signals.length] as string,
    }));
    await until("their folders are made", () => sent.every(({ attempt }) => existsSync(rig.host.folderOf(attempt))));
    for (const { attempt, signal } of sent) rig.host.signal(attempt, signal);
    for (const { attempt, signal } of sent) expect((await rig.ended(attempt)).exit).toEqual({ read: "signal", signal });
  });

  test("a signal that the program takes does not end it, and an exit of that number without one is an exit", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", [
      "-c",
      "trap 'echo usr1; exit 138' USR2; trap 'echo int' INT; echo ready; while :; do sleep 0.05; done",
    ]);
    await printed(rig, attempt, 1);
    rig.host.signal(attempt, "SIGINT");
    await printed(rig, attempt, 2);
    rig.host.signal(attempt, "SIGUSR2");
    expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: 138 });
  });

  test("one that this host does not know is not sent", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("sleep", ["600"]);
    await rig.started(attempt);
    rig.host.signal(attempt, "SIGNONSENSE");
    rig.host.kill(attempt);
    expect((await rig.ended(attempt)).exit).toEqual({ read: "signal", signal: "SIGKILL" });
  });
});

test("a shim that somebody else killed is noticed, its program ended, and no code is made up", async () => {
  await using rig = await openRig();
  const attempt = rig.launch("/bin/sh", ["-c", "echo $$; exec sleep 600"]);
  const [program] = await printed(rig, attempt, 1);
  const { process: shim } = await rig.started(attempt);
  process.kill(shim.pid, "SIGKILL");
  expect((await rig.ended(attempt)).exit).toEqual({ read: "unreadable", why: expect.stringContaining("without an exit record") });
  expect(runs(Number(program))).toBe(false);
});

test("a process that got the number of an attempt's shim is never signalled", async () => {
  await using rig = await openRig();
  const decoy = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  onTestFinished(() => void decoy.kill("SIGKILL"));
  await once(decoy, "spawn");
  const attempt = rig.launch("sleep", ["600"]);
  const { process: shim } = await rig.started(attempt);
  const file = join(rig.host.folderOf(attempt), "started");
  // As after 32768 further processes: the number, the group and the session are somebody else's by now.
  const { pid, startTicks } = readStat(decoy.pid as number) as Stat;
  await using second = await openRig({ folder: rig.folder });
  writeFileSync(file, `${attempt} ${pid} ${startTicks - 100} ${shim.bootId} ${pid} ${pid} end\n`);
  const found = await second.host.recover([
    { attempt, launchBootId: shim.bootId, limits: { logStreamBytes: 1, resultBytes: 1 } },
  ]);
  expect(found).toMatchObject([{ found: "exited" }]);
  expect(decoy.exitCode ?? decoy.signalCode).toBe(null);
  expect(runs(decoy.pid as number)).toBe(true);
});

async function pidsWith(marker: string): Promise<number[]> {
  const { stdout } = spawn("pgrep", ["-f", `sleep ${marker}`], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  for await (const piece of stdout) text += String(piece);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map(Number)
    .filter(runs);
}
