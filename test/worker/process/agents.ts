/** Agents that a test can kill, and what is asked of the one that comes after. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import type { LaunchOrder } from "../../../worker/process/host.ts";
import { findLauncherShell, startLauncher } from "../../../worker/process/launcher.ts";
import { openShims, type Shims } from "../../../worker/process/shims.ts";
import { limits, temporaryFolder, type Started } from "./kit.ts";

/** A folder that goes with the test. */
export function freshFolder(): string {
  const folder = temporaryFolder();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));
  return folder;
}

export interface Agent {
  readonly child: ChildProcess;
  readonly started: Map<string, Started>;
  /** Sets them for all of these. */
  setDeadlines(of: readonly (readonly [attempt: string, deadlines: LaunchOrder["deadlines"]])[]): void;
  /** kill -9, and waits until it is gone. */
  die(): Promise<void>;
}

/** An agent in a process of its own, with these attempts launched. */
export function agent(folder: string, orders: readonly LaunchOrder[]): Agent {
  const child = spawn(process.execPath, [new URL("agent.ts", import.meta.url).pathname, folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const started = new Map<string, Started>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = JSON.parse(line) as Started & { readonly kind: string };
    if (event.kind === "started") started.set(event.attempt, event);
  });
  const tell = (lines: readonly object[]): void =>
    void child.stdin.write(lines.map((one) => `${JSON.stringify(one)}\n`).join(""));
  // In one write, so that all are launched in one turn.
  tell(orders);
  const die = async (): Promise<void> => {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  const setDeadlines: Agent["setDeadlines"] = (of) => tell(of.map(([attempt, deadlines]) => ({ again: attempt, deadlines })));
  return { child, started, setDeadlines, die };
}

export const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
/** What recovery is asked about an attempt. */
export const ask = (attempt: string, launchBootId: string | null = bootId) => ({ attempt, launchBootId, limits });

/** Shims of another launcher on the same folder: such as an order finds that was told twice. */
export function lateShims(folder: string): Shims & AsyncDisposable {
  const launcher = startLauncher({
    folder,
    bootId,
    shell: findLauncherShell(),
    log: silentLog(),
    onRestart: () => undefined,
  });
  const shims = openShims({ folder, launcher, log: silentLog() });
  return Object.assign(shims, {
    [Symbol.asyncDispose]: async () => {
      shims.close();
      launcher.close();
    },
  });
}
