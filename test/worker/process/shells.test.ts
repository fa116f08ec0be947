import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { until } from "../../kit/until.ts";
import { findLauncherShell, type LauncherShell } from "../../../worker/process/launcher.ts";
import { onPath } from "../../../worker/process/who.ts";
import { clock, openRig, runs } from "./kit.ts";

/** busybox is a sh when it is called by that name. */
const folder = mkdtempSync(join(tmpdir(), "muster-busybox-"));
const busybox = join(folder, "sh");
const found = onPath("busybox", process.env["PATH"] ?? "");
if (found !== undefined) symlinkSync(found, busybox);
afterAll(() => rmSync(folder, { recursive: true }));

const setsid = "env --default-signal=INT,QUIT setsid";
const shells: readonly (readonly [name: string, shell: string, how: string])[] = [
  ["bash with job control", "/bin/bash", "groups"],
  ["dash with setsid", "/bin/dash", setsid],
  ["dash with a setsid alone", "/bin/dash", "setsid"],
  ["bash with setsid", "/bin/bash", setsid],
  ["busybox with setsid", busybox, "setsid"],
];

test("the shell that this host offers is one of them", () => {
  const found = findLauncherShell();
  expect(shells.map(([, shell, how]) => ({ shell, how }))).toContainEqual(found);
});

test.for(["launcher.sh", "watchdog.sh"])("%s is plain POSIX sh to every shell that is here", (script) => {
  const file = new URL(`../../../worker/process/${script}`, import.meta.url).pathname;
  const checked = [["/bin/dash"], ["/bin/bash", "--posix"], [busybox]].filter(([shell]) => existsSync(shell as string));
  expect(checked.length).toBeGreaterThan(0);
  for (const [shell, ...args] of checked)
    expect(spawnSync(shell as string, [...args, "-n", file], { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
});

describe.for(shells)("%s", ([, shell, how]) => {
  const launcherShell: LauncherShell = { shell, how };

  test("starts, feeds, ends and empties attempts alike", async (ctx) => {
    if (!existsSync(shell)) ctx.skip(`${shell} is not on this host`);
    await using rig = await openRig({ launcherShell });
    const code = rig.launch("/bin/sh", ["-c", "cat; setsid sleep 600 & echo $!; exit 42"], {
      stdin: "in\n",
      env: { ODD: "it's \n $x" },
    });
    const nowhere = rig.launch(
      process.execPath,
      Array.from({ length: 40 }, () => "x".repeat(131_000)),
    );
    const stubborn = rig.launch("/bin/sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 600; done"]);
    const interrupted = rig.launch("sleep", ["600"]);
    expect((await rig.ended(code)).exit).toEqual({ read: "code", code: 42 });
    expect(rig.output(code).toString()).toMatch(/^in\n[0-9]+\n$/);
    expect(runs(Number(rig.output(code).toString().split("\n")[1]))).toBe(false);
    expect(await rig.notStarted(nowhere)).toMatchObject({
      how: "failedToStart",
      why: expect.stringMatching(/could not be executed: .*argument list too long/i),
    });
    await rig.started(stubborn);
    const said = join(rig.host.folderOf(stubborn), "stdout");
    await until("it ignores TERM", () => existsSync(said) && rig.output(stubborn).toString() === "ready\n");
    rig.host.terminate(stubborn);
    rig.host.kill(stubborn);
    expect(await rig.ended(stubborn)).toMatchObject({ termBefore: true, exit: { read: "signal", signal: "SIGKILL" } });
    await rig.started(interrupted);
    // Where nothing can undo that background children of dash ignore INT, TERM is what works.
    const signal = how === "setsid" ? "SIGTERM" : "SIGINT";
    rig.host.signal(interrupted, signal);
    expect((await rig.ended(interrupted)).exit).toEqual({ read: "signal", signal });
  }, 60_000);

  test("tells the end of a program that sends real-time signals to its own group", async (ctx) => {
    if (!existsSync(shell)) ctx.skip(`${shell} is not on this host`);
    await using rig = await openRig({ launcherShell });
    const text = "trap : 34 40 64; for n in 34 40 64; do kill -$n 0; done; exit 5";
    expect((await rig.ended(rig.launch("/bin/sh", ["-c", text]))).exit).toEqual({ read: "code", code: 5 });
  });

  test("keeps deadlines", async (ctx) => {
    if (!existsSync(shell)) ctx.skip(`${shell} is not on this host`);
    await using rig = await openRig({ launcherShell });
    const attempt = rig.launch("/bin/sh", ["-c", "echo ready; exec sleep 600"]);
    const said = join(rig.host.folderOf(attempt), "stdout");
    await until("its program", () => existsSync(said) && rig.output(attempt).toString() === "ready\n");
    // TERM alone ends it: a shim that stands still for the grace would be killed with its record unwritten.
    rig.host.setDeadlines(attempt, { timeoutMono: clock.now().mono + 500, fenceMono: null, graceMs: 60_000 });
    expect(await rig.ended(attempt)).toMatchObject({ timedOut: true, exit: { read: "code", code: 143 } });
  }, 30_000);

  test("leaves no zombies behind", async (ctx) => {
    if (!existsSync(shell)) ctx.skip(`${shell} is not on this host`);
    await using rig = await openRig({ launcherShell });
    const keep = rig.launch("sleep", ["600"]);
    const { process: shim } = await rig.started(keep);
    const launcher = /^PPid:\s+([0-9]+)/m.exec(readFileSync(`/proc/${shim.pid}/status`, "latin1"))?.[1];
    await Promise.all(Array.from({ length: 70 }, () => rig.ended(rig.launch("true"))));
    const dead = (): number =>
      spawnSync("ps", ["--ppid", String(launcher), "-o", "stat="], { encoding: "utf8" })
        .stdout.split("\n")
        .filter((state) => state.startsWith("Z")).length;
    // The launcher is told to forget its dead after every few shims that have left.
    await until("few dead are left", () => dead() <= 16);
    rig.host.kill(keep);
    await rig.ended(keep);
  }, 60_000);
});
