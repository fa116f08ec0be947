/** Rule 25: what is on its way out of an attempt, at the very moment of a look, does not get away. */
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { isAlive, readStat, readTag } from "../../../worker/process/proc.ts";
import { pidsThatMention } from "../../kit/sweep.ts";
import { until } from "../../kit/until.ts";
import { openRig } from "./kit.ts";

/** A script that goes on as `next` says, for ever. */
function restless(next: string): string {
  const folder = mkdtempSync(join(tmpdir(), "muster-restless-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const script = join(folder, "restless");
  writeFileSync(script, `#!/bin/sh\n${next}\n`);
  chmodSync(script, 0o755);
  return script;
}

const becomesAnother = 'exec "$0"';

test("a process that becomes another program again and again is never taken for one without a tag", async () => {
  const looper = spawn(restless(becomesAnother), { env: { TAG: "in/mine/rest" }, stdio: "ignore" });
  onTestFinished(() => void looper.kill("SIGKILL"));
  const tag = (): string | undefined | null => readTag(looper.pid ?? 0, Buffer.from("TAG=in/"));
  const tags = new Set<string | undefined | null>([await until("its tag", tag)]);
  for (let look = 0; look < 20_000; look++) tags.add(tag());
  expect(isAlive(readStat(looper.pid ?? 0))).toBe(true);
  // Null once in a while: it says of itself that it cannot tell.
  expect([...tags].filter((tag) => tag !== null)).toEqual(["mine"]);
});

test("a process that cleared its environment has no tag, and is no riddle", async () => {
  const bare = spawn("/usr/bin/env", ["-i", "sleep", "300"], { env: { TAG: "in/mine/rest" }, stdio: "ignore" });
  onTestFinished(() => void bare.kill("SIGKILL"));
  await until("env(1) to become sleep(1)", () => readTag(bare.pid ?? 0, Buffer.from("TAG=in/")) === undefined);
});

test.for<readonly [is: string, next: string]>([
  ["becomes another program", becomesAnother],
  ["forks and ends", '"$0" &'],
])("what %s again and again, in a session of its own, is gone when the end is told", async ([, next]) => {
  const script = restless(next);
  await using rig = await openRig();
  for (let round = 0; round < 50; round++) {
    const attempt = rig.launch("/bin/sh", ["-c", `setsid ${script} & exit 3`]);
    expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: 3 });
  }
  // Many looks: each may miss who is just becoming another.
  const left = Array.from({ length: 20 }, () => pidsThatMention(`${rig.folder}/attempts/`)).flat();
  expect(left).toEqual([]);
});
