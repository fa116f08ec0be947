/** Never stuck, and never run twice: records that were tampered with, claims that cannot be written. */
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { claimVoid, readExit, readStarted } from "../../../worker/process/records.ts";
import { until } from "../../kit/until.ts";
import { freshFolder } from "./agents.ts";
import { clock, openRig, runs, type Rig } from "./kit.ts";

describe("an exit record that cannot be read", () => {
  test("is no end while the program runs, and ends the attempt as lost when its program is gone: its shim does not stay for it", async () => {
    // It stands: a shim is let go that serves for long, which would hide that this one was kept.
    const { wall, mono } = clock.now();
    await using rig = await openRig({ clock: { now: () => ({ wall, mono }) } });
    const gate = join(rig.folder, "gate");
    const attempts = ["ln -sf /dev/null ../exit", "rm ../exit; mkdir ../exit"].map((tamper) =>
      rig.launch("/bin/sh", ["-c", `${tamper}; while ! [ -e '${gate}' ]; do sleep 0.02; done; exit 3`]),
    );
    const pids = await Promise.all(attempts.map(async (attempt) => (await rig.started(attempt)).process.pid));
    // Longer than a poll takes to come round.
    await rig.ended(rig.launch("/bin/sleep", ["1.5"]));
    expect(rig.told.filter(([kind, event]) => kind === "ended" && attempts.includes(event.attempt))).toEqual([]);
    expect(pids.map(runs)).toEqual([true, true]);
    writeFileSync(gate, "");
    for (const attempt of attempts) expect((await rig.ended(attempt)).exit).toMatchObject({ read: "unreadable" });
    expect(pids.map(runs)).toEqual([false, false]);
  });
});

describe("an attempt whose claim could not be written", () => {
  /** Prepared for `attempt`, not claimed; its program leaves a line in the witness. */
  async function prepared(rig: Rig, attempt: string): Promise<{ folder: string; witness: string }> {
    const witness = join(rig.folder, "witness");
    await rig.ended(rig.launch("/bin/sh", ["-c", `echo ran >>'${witness}'`], { attempt }));
    rmSync(witness);
    const folder = rig.host.folderOf(attempt);
    writeFileSync(join(folder, "exit"), " ".repeat(64));
    writeFileSync(join(folder, "started"), "\n");
    return { folder, witness };
  }
  /** Every append to `started` says that the disk is full. */
  function fullDisk(folder: string): { end(): void } {
    renameSync(join(folder, "started"), join(folder, "kept"));
    symlinkSync("/dev/full", join(folder, "started"));
    return { end: () => renameSync(join(folder, "kept"), join(folder, "started")) };
  }
  function shimAt(rig: Rig): { give(attempt: string): void; readonly gone: () => boolean } {
    const fifo = join(mkdtempSync(join(rig.folder, "fifo-")), "fifo");
    spawnSync("mkfifo", [fifo]);
    const file = openSync(fifo, constants.O_RDWR);
    const script = new URL("../../../worker/process/launcher.sh", import.meta.url).pathname;
    const shim = spawn("setsid", ["/bin/sh", script, "shim", rig.folder, "boot", fifo], { stdio: "ignore" });
    onTestFinished(() => {
      closeSync(file);
      shim.kill("SIGKILL");
    });
    return { give: (attempt) => void writeSync(file, `${attempt}\n`), gone: () => shim.exitCode !== null };
  }

  test("by one shim is run by one that can: only who runs it writes its exit", async () => {
    await using rig = await openRig();
    const { folder, witness } = await prepared(rig, "x");
    const disk = fullDisk(folder);
    const first = shimAt(rig);
    first.give("x");
    await until("it gave up", () => first.gone() || readExit(folder, "x").is !== "blank");
    expect(readExit(folder, "x")).toEqual({ is: "blank" });
    disk.end();
    shimAt(rig).give("x");
    await until("its end", () => readExit(folder, "x").is === "complete");
    expect(readFileSync(witness, "utf8")).toBe("ran\n");
  });

  test("and was called off by the agent, without room for its own line, never runs when there is room again", async () => {
    await using rig = await openRig();
    const { folder, witness } = await prepared(rig, "x");
    const disk = fullDisk(folder);
    expect(claimVoid(folder, "x")).toBe(true);
    disk.end();
    const late = shimAt(rig);
    late.give("x");
    await until("it leaves", () => late.gone() || readExit(folder, "x").is !== "blank");
    expect(() => readFileSync(witness)).toThrow("ENOENT");
    expect(readExit(folder, "x")).toEqual({ is: "blank" });
  });

  test.for(["x", "x 12", "x 12 5", "x 12 5 3", "x 12 5 33e7 12", "x 12 5 33e7 12 12", "x 12 5 33e7 12 12 e"])(
    "to its end, as %j, can be called off",
    (cut) => {
      const folder = freshFolder();
      writeFileSync(join(folder, "started"), `\n${cut}`);
      expect(claimVoid(folder, "x")).toBe(true);
      expect(readStarted(folder, "x")).toEqual({ is: "void" });
    },
  );
});
