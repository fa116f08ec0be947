/** Rule 25: whoever has got the numbers of an attempt that is gone is never signalled. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { isAlive, listPids, readStat, type Stat } from "../../../worker/process/proc.ts";
import { until } from "../../kit/until.ts";
import { ask, bootId, freshFolder } from "./agents.ts";
import { openRig } from "./kit.ts";

/** Somebody's group of two processes in a session of its own; the leader, and its child. */
async function strangers(): Promise<{ readonly leader: Stat; readonly child: Stat }> {
  const shell = spawn("/bin/sh", ["-c", "sleep 300 & wait"], { detached: true, stdio: "ignore" });
  const pid = shell.pid ?? 0;
  onTestFinished(() => void process.kill(-pid, "SIGKILL"));
  const leader = await until("the leader", () => readStat(pid));
  const child = await until("its child", () =>
    listPids()
      .map((each) => readStat(each))
      .find((stat) => stat?.group === pid && stat.pid !== pid),
  );
  return { leader, child };
}

interface Claim {
  readonly pid: number;
  readonly startTicks: number;
  readonly group: number;
  readonly session: number;
  readonly boot?: string;
}

test.for<readonly [string, (leader: Stat, child: Stat) => Claim]>([
  [
    "their group has the number of the attempt's, in another session",
    ({ group }, child) => ({ pid: 4_194_000, startTicks: Math.min(1, child.startTicks), group, session: 4_194_000 }),
  ],
  [
    "group and session have the numbers, and they are older than the attempt",
    ({ group, session }, child) => ({ pid: 4_194_000, startTicks: child.startTicks + 1_000, group, session }),
  ],
  [
    "the leader has the number of the attempt's shim, and was started later",
    ({ pid, group, session, startTicks }) => ({ pid, startTicks: startTicks - 1, group, session }),
  ],
  [
    "all numbers are the same, under another boot",
    ({ group, session }) => ({ pid: 4_194_000, startTicks: 1, group, session, boot: "another-boot" }),
  ],
])("%s", async ([, claimOf]) => {
  const { leader, child } = await strangers();
  await using rig = await openRig();
  const folder = rig.host.folderOf("old");
  mkdirSync(folder);
  const { pid, startTicks, group, session, boot = bootId } = claimOf(leader, child);
  writeFileSync(join(folder, "started"), `old ${pid} ${startTicks} ${boot} ${group} ${session} end\n`);
  writeFileSync(join(folder, "exit"), "old 3 end\n".padEnd(64));
  const [found] = await rig.host.recover([ask("old")]);
  // On a busy host the looks take longer than recovery waits for them; it ends later then, like a live one.
  const ended = found?.found === "alive" ? await rig.ended("old") : found;
  expect(ended).toMatchObject({ exit: { read: "code", code: 3 } });
  for (const { pid: one } of [leader, child]) expect(isAlive(readStat(one))).toBe(true);
});

test.for<readonly [string, number, string]>([
  ["was started at another time", -1, bootId],
  ["was started under another boot", 0, "another-boot"],
])("the watchdog leaves alone whoever has the shim's numbers and %s", async ([, later, boot]) => {
  const { leader, child } = await strangers();
  const folder = freshFolder();
  for (const path of ["deadlines", "attempts/old"]) mkdirSync(join(folder, path), { recursive: true });
  const { pid, startTicks, group, session } = leader;
  writeFileSync(join(folder, "attempts/old/started"), `old ${pid} ${startTicks + later} ${boot} ${group} ${session} end\n`);
  writeFileSync(join(folder, "attempts/old/exit"), " ".repeat(64));
  const deadline = join(folder, "deadlines/old");
  writeFileSync(deadline, `${bootId} 0 - 0 end\n`);
  const script = join(import.meta.dirname, "../../../worker/process/watchdog.sh");
  const watchdog = spawn("/bin/sh", [script, folder, bootId], { stdio: "ignore" });
  onTestFinished(() => void watchdog.kill("SIGKILL"));
  await until("the deadline of what is gone to be dropped", () => !existsSync(deadline) || undefined);
  for (const { pid: one } of [leader, child]) expect(isAlive(readStat(one))).toBe(true);
});
