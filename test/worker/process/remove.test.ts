import { existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import { findLauncherShell, startLauncher } from "../../../worker/process/launcher.ts";
import { readBootId } from "../../../worker/process/proc.ts";
import { readStarted } from "../../../worker/process/records.ts";
import { openShims } from "../../../worker/process/shims.ts";
import { until } from "../../kit/until.ts";
import { openRig, runs } from "./kit.ts";

test("while a folder is removed there is no moment at which a repeated launch could run its program again", async () => {
  await using rig = await openRig();
  const attempt = rig.launch("/bin/true");
  await rig.ended(attempt);
  const folder = rig.host.folderOf(attempt);
  mkdirSync(join(folder, "many"));
  for (let file = 0; file < 3_000; file += 1) writeFileSync(join(folder, "many", `f${file}`), "");
  let removed = false;
  const removing = rig.host.remove(attempt).then(() => (removed = true));
  let looks = 0;
  await until("the folder to go", () => {
    const launchable = existsSync(join(folder, "launch")) && !existsSync(join(folder, "started"));
    expect(launchable).toBe(false);
    looks += 1;
    return removed;
  });
  await removing;
  expect(looks).toBeGreaterThan(1);
  expect(existsSync(folder)).toBe(false);
});

test("an order that comes late finds no program any more", async () => {
  await using rig = await openRig();
  const witness = join(rig.folder, "witness");
  const attempt = rig.launch("/bin/sh", ["-c", `echo ran >> ${witness}`]);
  await rig.ended(attempt);
  const folder = rig.host.folderOf(attempt);
  // As far as the removal has come when the line is read: `started` is gone, the folder is still there.
  unlinkSync(join(folder, "launch"));
  unlinkSync(join(folder, "started"));
  const bootId = readBootId() ?? "";
  const late = startLauncher({
    folder: rig.folder,
    bootId,
    shell: findLauncherShell(),
    log: silentLog(),
    onRestart: () => undefined,
  });
  const shims = openShims({ folder: rig.folder, launcher: late, log: silentLog() });
  shims.give(attempt);
  const claim = await until("its claim", () => {
    const record = readStarted(folder, attempt);
    return record.is === "complete" ? record.started : undefined;
  });
  await until("the late shim to have given up", () => !runs(claim.pid));
  shims.close();
  late.close();
  expect(readFileSync(witness, "utf8")).toBe("ran\n");
});
