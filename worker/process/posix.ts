import { chmodSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { workerLimits } from "../../schema/limits.ts";
import { Attempts } from "./attempts.ts";
import { openDeadlines } from "./deadlines.ts";
import { hangDoorbell } from "./doorbell.ts";
import { defaultEnvironment, type BaseEnvironment } from "./environment.ts";
import { tagPrefix } from "./folder.ts";
import type { ProcessHost, ProcessListener } from "./host.ts";
import { findLauncherShell, launchStyleOf, startLauncher, type LauncherShell } from "./launcher.ts";
import { openPids } from "./pids.ts";
import { startPoll } from "./poll.ts";
import { readBootId } from "./proc.ts";
import { recoverAttempts } from "./recover.ts";
import { openShims } from "./shims.ts";
import { makeSignals } from "./signals.ts";
import { openSpares } from "./spares.ts";
import { makeReaper } from "./tree.ts";
import { ownUser } from "./who.ts";

export interface ProcessHostOptions {
  /** Absolute, the worker's own; attempts live in `folder/attempts/<attemptId>`. Made when it is not there. */
  readonly folder: string;
  readonly listener: ProcessListener;
  /** The host's boot-time clock. */
  readonly clock: Clock;
  readonly log: Log;
  /** PATH, HOME, LANG and TZ of every process; `defaultEnvironment()` when left out. */
  readonly environment?: BaseEnvironment;
  /** Bytes that stay free on the disk: a launch is refused when they would not (rule 26). */
  readonly diskReserveBytes?: number;
  /** Which shell launches; the fastest that the host has when left out. */
  readonly launcherShell?: LauncherShell;
}

/**
 * The process host of Linux: launcher.sh starts each attempt under a shim that needs nobody, watchdog.sh keeps its deadlines.
 * Throws a sentence when the system has no /proc, no usable shell, or the folder cannot be used.
 */
export async function openPosixHost(options: ProcessHostOptions): Promise<ProcessHost> {
  const { folder, listener, clock, log } = options;
  const bootId = groundOf(folder);
  const shell = options.launcherShell ?? findLauncherShell();
  const attemptsFolder = `${folder}/attempts`;
  for (const path of [folder, attemptsFolder, `${folder}/deadlines`]) mkdirSync(path, { recursive: true, mode: 0o700 });
  const own = ownUser();
  // So that tasks of other users reach their own folder; each attempt's folder stays closed but to its user.
  if (own.uid === 0) for (const path of [folder, attemptsFolder]) chmodSync(path, 0o711);

  const pids = openPids();
  const launcher = startLauncher({ folder, bootId, shell, log, onRestart: () => attempts.launchAgain() });
  const shims = openShims({ folder, launcher, log });
  const spares = openSpares(`${folder}/spare`);
  const reaper = makeReaper({
    tagPrefix: tagPrefix(attemptsFolder),
    bootId,
    pids,
    attemptOf: (group) => shims.attemptOf(group),
    log,
  });
  const deadlines = openDeadlines({ folder, bootId, launcher });
  const attempts = new Attempts({
    attemptsFolder,
    bootId,
    listener,
    clock,
    log,
    reaper,
    shims,
    pids,
    deadlines,
    prepare: {
      base: options.environment ?? defaultEnvironment(),
      own,
      diskReserveBytes: options.diskReserveBytes ?? workerLimits.diskReserveBytes,
      style: launchStyleOf(shell.shell),
      spares,
    },
  });
  const signals = makeSignals({ attempts, reaper, bootId, clock, log });
  const doorbell = hangDoorbell(`${folder}/doorbell`, log, (attempt) => attempts.look(attempt));
  const poll = startPoll({ attempts, doorbell, deadlines, shims, log });

  return {
    fences: true,
    launch: (order) => attempts.launch(order),
    terminate: (attempt) => signals.terminate(attempt),
    kill: (attempt) => signals.kill(attempt),
    signal: (attempt, signal) => signals.signal(attempt, signal),
    setDeadlines: (attempt, at) => attempts.setDeadlines(attempt, at),
    recover: (asked) => recoverAttempts(asked, { attempts, bootId, reaper, deadlines }),
    folderOf: (attempt) => attempts.folderOf(attempt),
    remove: async (attempt) => {
      const used = attempts.folderOf(attempt);
      const around = attempts.aroundEnd(attempt);
      if (around === "unsure" || !spares.keep(used, around === "strangers")) await removeFolder(used);
    },
    [Symbol.asyncDispose]: async () => {
      poll.stop();
      doorbell.close();
      reaper.close();
      attempts.close();
      shims.close();
      launcher.close();
    },
  };
}

/** The boot's id; throws a sentence when there is none, or the folder cannot be used. */
function groundOf(folder: string): string {
  const bootId = readBootId();
  if (bootId === undefined)
    throw new Error(
      "this system has no /proc/sys/kernel/random/boot_id; without /proc a process cannot be told from a later one with its number, so no worker runs here",
    );
  // The watchdog hands this path to grep, line by line; a line end in it would name other processes.
  if (!isAbsolute(folder) || /[\u0000-\u001f\u007f]/.test(folder))
    throw new Error(
      `the worker's folder must be an absolute path without control characters, and ${JSON.stringify(folder)} is not`,
    );
  return bootId;
}

/**
 * `launch` goes first. An attempt that was given twice may still wait in a fifo, and as soon as `started` is gone
 * its shim could claim it anew (rule 23) and run the program a second time. A shim that is in the folder just then may leave
 * a file behind while the folder goes, hence the retries.
 */
async function removeFolder(folder: string): Promise<void> {
  await rm(`${folder}/launch`, { force: true });
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
