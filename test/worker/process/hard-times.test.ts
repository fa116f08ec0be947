/** A host that cannot make what a launch needs: nothing is lost, and the agent goes on. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Log } from "../../../schema/kit/log.ts";
import type { Attempts } from "../../../worker/process/attempts.ts";
import { startPoll } from "../../../worker/process/poll.ts";
import { until } from "../../kit/until.ts";
import { sweep } from "../../kit/sweep.ts";
import { freshFolder } from "./agents.ts";
import { clock, openRig } from "./kit.ts";

test("the shims' fifos are made anew when somebody removed them", async () => {
  await using rig = await openRig();
  await rig.ended(rig.launch("/bin/true"));
  rmSync(join(rig.folder, "shims"), { recursive: true });
  // More than one batch of fifos, and more than there are idle shims.
  const attempts = Array.from({ length: 40 }, () => rig.launch("/bin/sh", ["-c", "exit 4"]));
  for (const attempt of attempts) expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: 4 });
}, 30_000);

test("the shims' fifos are made in /tmp where the data folder can have none", async () => {
  await using rig = await openRig();
  await rig.ended(rig.launch("/bin/true"));
  rmSync(join(rig.folder, "shims"), { recursive: true });
  writeFileSync(join(rig.folder, "shims"), "");
  const attempts = Array.from({ length: 4 }, () => rig.launch("/bin/sh", ["-c", "exit 4"]));
  for (const attempt of attempts) expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: 4 });
});

test("an attempt that cannot be looked at keeps no other from being looked at", async () => {
  const looked: string[] = [];
  const said: unknown[] = [];
  const attempts = {
    all: () => [{ attempt: "a" }, { attempt: "b" }],
    lookAfter: ({ attempt }: { attempt: string }) => {
      looked.push(attempt);
      if (attempt === "a") throw new Error("EIO");
    },
  } as unknown as Attempts;
  const broken = (): never => {
    throw new Error("EIO");
  };
  const poll = startPoll({
    attempts,
    doorbell: { look: broken, close: () => undefined },
    deadlines: { keepWatched: broken } as never,
    shims: { tend: broken } as never,
    log: { error: (...words: unknown[]) => said.push(words) } as unknown as Log,
  });
  await until("two rounds", () => looked.length >= 4);
  poll.stop();
  expect(looked.slice(0, 4)).toEqual(["a", "b", "a", "b"]);
  expect(said[0]).toMatchObject([{ count: 4 }, expect.stringContaining("look")]);
});

test("an attempt that no shim begins is given to others ever more rarely, so that a slow one has its time, and is then called off", async () => {
  const folder = freshFolder();
  const [shell, shims] = [`${folder}/slow-sh`, `${folder}/shims-begun`];
  // Each shim of this shell hangs before its first line.
  writeFileSync(shell, `#!/bin/sh\n[ "$2" != shim ] || { echo >>${shims}; exec sleep 600; }\nexec /bin/sh "$@"\n`, {
    mode: 0o755,
  });
  let aheadMs = 0;
  // It stands but for what this test adds: how long the host takes for each of these steps counts for nothing.
  const { wall, mono } = clock.now();
  const ahead = { now: () => ({ wall, mono: mono + aheadMs }) };
  await using rig = await openRig({ clock: ahead, launcherShell: { shell, how: "setsid" } });
  // They work in the host's folder.
  onTestFinished(() => sweep(rig.folder));
  const begun = (): number => (existsSync(shims) ? readFileSync(shims, "latin1").length : 0);
  const shimsAre = (count: number): Promise<unknown> => until(`${count} shims`, () => begun() >= count);
  const attempt = rig.launch("/bin/true");
  await shimsAre(1);
  aheadMs = 6_000;
  await shimsAre(2);
  aheadMs = 12_500;
  await shimsAre(3);
  const later = rig.launch("/bin/true");
  await shimsAre(4);
  // Time for the later one's second, and the poll has looked at the earlier one before: its third has as long as it took to come
  // to it.
  aheadMs = 19_000;
  await shimsAre(5);
  expect(begun()).toBe(5);
  aheadMs = 26_000;
  await shimsAre(7);
  aheadMs = 80_000;
  expect(await rig.notStarted(later)).toMatchObject({ how: "refused" });
  expect(await rig.notStarted(attempt)).toMatchObject({ how: "refused", why: expect.stringContaining("no shim began it") });
});
