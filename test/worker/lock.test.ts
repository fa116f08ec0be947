import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { FolderTaken, lockFolder } from "../../worker/lock.ts";
import { until } from "../kit/until.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lock-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("one at a time, and free again after its release, which may come twice", () => {
  const first = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(FolderTaken);
  expect(() => lockFolder(folder)).toThrow(
    /another worker runs on .*: stop it, or give this one a data folder of its own \(MUSTER_DATA_DIR\)/,
  );
  first.release();
  first.release();
  lockFolder(folder).release();
});

test("the folder is made when it is not there", () => {
  lockFolder(join(folder, "a", "b")).release();
});

test("kill -9 of the holder frees it, and nothing else does: not even a handle that was collected", async () => {
  const holder = spawn(process.execPath, [join(import.meta.dirname, "lock-holder.ts"), folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void holder.kill("SIGKILL"));
  const gone = new Promise<void>((resolve) => holder.once("exit", () => resolve()));
  let said = "";
  holder.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await until("the lock", () => said.includes("held"));
  expect(() => lockFolder(folder)).toThrow(FolderTaken);
  holder.kill("SIGKILL");
  await gone;
  lockFolder(folder).release();
});
