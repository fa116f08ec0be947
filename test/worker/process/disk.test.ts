import { spawnSync } from "node:child_process";
import { existsSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { until } from "../../kit/until.ts";
import { freshFolder } from "./agents.ts";
import { openRig, runs, temporaryFolder } from "./kit.ts";

describe("a disk that fills up", () => {
  test("keeps the end of what runs, refuses what comes, and takes it again when there is room", async (ctx) => {
    const folder = temporaryFolder();
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], { encoding: "utf8" });
    if (mounted.status !== 0) ctx.skip(`no small disk can be mounted here: ${mounted.stderr.trim()}`);
    onTestFinished(() => {
      spawnSync("umount", ["-l", folder]);
      rmSync(folder, { recursive: true });
    });
    await using rig = await openRig({ folder, diskReserveBytes: 262_144 });
    // Not on that disk: there is no room on it.
    const gate = join(freshFolder(), "gate");
    const filler = rig.launch("/bin/sh", [
      "-c",
      `cat /dev/zero >filler 2>/dev/null; echo full >&2; while ! [ -e ${gate} ]; do sleep 0.05; done; exit 6`,
    ]);
    await rig.started(filler);
    await until("the disk is full", () => statfsSync(folder).bavail === 0);
    const refused = rig.launch("true");
    expect(await rig.notStarted(refused)).toMatchObject({ how: "refused", why: expect.stringContaining("kept in reserve") });
    writeFileSync(gate, "");
    expect((await rig.ended(filler)).exit).toEqual({ read: "code", code: 6 });
    await rig.host.remove(filler);
    const next = rig.launch("/bin/sh", ["-c", "echo again"]);
    expect((await rig.ended(next)).exit).toEqual({ read: "code", code: 0 });
    expect(rig.output(next).toString()).toBe("again\n");
  }, 30_000);
});

test("an attempt whose folder somebody removed ends all the same, and nobody makes up its code", async () => {
  await using rig = await openRig();
  const attempt = rig.launch("/bin/sh", ["-c", "echo ready; sleep 600"]);
  const { process } = await rig.started(attempt);
  await until("its program runs", () => existsSync(join(rig.host.folderOf(attempt), "stdout")) && rig.output(attempt).length > 0);
  rmSync(rig.host.folderOf(attempt), { recursive: true });
  const other = rig.launch("true");
  expect((await rig.ended(other)).exit).toEqual({ read: "code", code: 0 });
  expect(runs(process.pid)).toBe(true);
  rig.host.kill(attempt);
  expect((await rig.ended(attempt)).exit).toEqual({ read: "unreadable", why: expect.stringContaining("ENOENT") });
  expect(runs(process.pid)).toBe(false);
});

test("remove takes the folder away, and removing twice is legal", async () => {
  await using rig = await openRig();
  const attempt = rig.launch("true");
  await rig.ended(attempt);
  await rig.host.remove(attempt);
  await rig.host.remove(attempt);
  expect(existsSync(join(rig.folder, "attempts", attempt))).toBe(false);
});
