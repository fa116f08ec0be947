import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { makePidsLimit, pidsLimitMissing } from "../../kit/pids-limit.ts";
import { pidsThatMention } from "../../kit/sweep.ts";
import { until } from "../../kit/until.ts";
import { openRig } from "./kit.ts";

test("a program that the host has no process for did not run, and its attempt says so", async (ctx) => {
  const missing = pidsLimitMissing();
  if (missing !== undefined) ctx.skip(missing);
  const launcherShell = { shell: "/bin/dash", how: "env --default-signal=INT,QUIT setsid" };
  if (!existsSync(launcherShell.shell)) ctx.skip("there is no dash on this host");
  await using limit = makePidsLimit(1_000);
  await using rig = await openRig({ launcherShell });
  const before = rig.launch("/bin/true");
  await rig.ended(before);
  // The launcher, and a shim that has served and waits.
  limit.take(pidsThatMention(rig.folder));
  limit.allow();
  const witness = `${rig.folder}/witness`;
  const attempt = rig.launch("/bin/sh", ["-c", `echo ran >>${witness}`]);
  const told = await until("what became of it", () =>
    rig.told.find(([kind, event]) => event.attempt === attempt && kind !== "started"),
  );
  expect(told).toMatchObject(["notStarted", { how: "failedToStart", why: expect.stringMatching(/fork/i) }]);
  limit.allow(1_000);
  expect(existsSync(witness)).toBe(false);
  const after = rig.launch("/bin/sh", ["-c", "exit 4"]);
  expect((await rig.ended(after)).exit).toEqual({ read: "code", code: 4 });
});
