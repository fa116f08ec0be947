/** What the small files beside an attempt say, and when a number is a process of ours. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readBootId, readStat } from "../../../worker/process/proc.ts";
import { blankExit, readExit, shimAlive } from "../../../worker/process/records.ts";

function exitReads(text: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), "muster-records-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "exit"), text);
  return readExit(folder, "attempt-1");
}

test("rule 24: an exit record is blank, whole or unreadable; an empty file is no exit 0", () => {
  expect(exitReads(blankExit)).toEqual({ is: "blank" });
  expect(exitReads(`attempt-1 0 end\n${blankExit}`)).toMatchObject({ is: "complete", code: 0 });
  expect(exitReads(`attempt-1 143 end\n`)).toMatchObject({ is: "complete", code: 143 });
  for (const text of ["", "\n", "attempt-1 0", "attempt-1 0 en", "attempt-2 0 end\n", "0\n", blankExit.slice(1)])
    expect(exitReads(text), JSON.stringify(text)).toMatchObject({ is: "unreadable" });
});

test("rule 25: a process is ours only when boot id and start time agree with its number", async (ctx) => {
  const bootId = readBootId();
  ctx.skip(bootId === undefined, "this system has no boot id");
  const stranger = spawn("sleep", ["600"], { stdio: "ignore" });
  onTestFinished(() => void stranger.kill("SIGKILL"));
  await once(stranger, "spawn");
  const pid = stranger.pid as number;
  const startTicks = readStat(pid)?.startTicks as number;
  const started = { pid, group: pid, session: pid, bootId: bootId as string, startTicks };
  expect(shimAlive(started, started.bootId)).toBe(true);
  expect(shimAlive({ ...started, startTicks: startTicks - 100 }, started.bootId)).toBe(false);
  expect(shimAlive(started, "another boot")).toBe(false);
});
