/** Fifos for the shims, made a few at a time: Node cannot make one, and mkfifo(1) costs as much for one as for many. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { Log } from "../../schema/kit/log.ts";
import { processLimits } from "./limits.ts";
import { isAlive, readStat } from "./proc.ts";
import { systemPath } from "./who.ts";

export interface Fifos {
  /** The path of one that nobody has used; undefined when there is none yet. Makes more before the last one is taken. */
  take(): string | undefined;
  /** Makes more; `onMade` is called then, also when it failed. */
  make(): void;
  /** Those that were made may be gone. */
  forget(): void;
  close(): void;
}

/**
 * In a folder of this process below `parent`; where no fifo can be made there, in one below /tmp. Throws a sentence when the
 * host has no mkfifo(1); whatever else fails is logged, and may go well the next time.
 */
export function makeFifos(parent: string, log: Log, onMade: () => void): Fifos {
  if (!systemPath.split(":").some((folder) => existsSync(`${folder}/mkfifo`)))
    throw new Error(`this host has no mkfifo program in ${systemPath}, and the worker needs it; install coreutils or busybox`);
  removeOthers(parent, log);
  const own = `${parent}/${process.pid}.${readStat(process.pid)?.startTicks ?? 0}.${openings++}`;
  let spare: string | undefined;
  let ready: string[] = [];
  let made = 0;
  let making = false;
  let closed = false;

  const tryIn = (folderOf: () => string, then: (failed: Error | null) => void): void => {
    try {
      const folder = folderOf();
      const paths = Array.from({ length: processLimits.fifosAtOnce }, () => `${folder}/${made++}`);
      mkfifo(paths, (failed) => {
        if (failed === null) ready.push(...paths.reverse());
        then(failed);
      });
    } catch (error) {
      setImmediate(then, error as Error);
    }
  };
  const done = (failed: Error | null): void => {
    making = false;
    if (closed) return removeFolders([own, spare], log);
    if (failed) log.error({ err: failed }, `fifos for the shims cannot be made in ${own}, nor in /tmp; launches wait for them`);
    onMade();
  };
  const make = (): void => {
    if (making || closed) return;
    making = true;
    const below = (): string => {
      mkdirSync(own, { recursive: true, mode: 0o700 });
      return own;
    };
    // Some file systems, such as those that a virtual machine shares with its host, have no fifos.
    const elsewhere = (): string => {
      if (spare === undefined || !existsSync(spare)) spare = mkdtempSync("/tmp/muster-shims-");
      return spare;
    };
    tryIn(below, (failed) => (failed === null ? done(null) : tryIn(elsewhere, done)));
  };
  return {
    take: () => {
      if (ready.length <= processLimits.fifosAtOnce / 4) make();
      return ready.pop();
    },
    make,
    forget: () => {
      ready = [];
    },
    close: () => {
      closed = true;
      if (!making) removeFolders([own, spare], log);
    },
  };
}

function mkfifo(paths: readonly string[], then: (failed: Error | null) => void): void {
  execFile("mkfifo", ["-m", "600", ...paths], { env: { PATH: systemPath }, timeout: processLimits.mkfifoMs }, then);
}

function removeFolders(folders: readonly (string | undefined)[], log: Log): void {
  for (const folder of folders) {
    try {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      log.warn({ err: error }, "the folder of the shims' fifos cannot be removed");
    }
  }
}

/** A process may open more than one host; each has fifos of its own. */
let openings = 0;

/** What agents that are gone left: their shims hold their fifos open as long as they need them. */
function removeOthers(parent: string, log: Log): void {
  try {
    if (!existsSync(parent)) return;
    for (const name of readdirSync(parent)) {
      const [pid, startTicks] = name.split(".").map(Number);
      const stat = readStat(pid ?? 0);
      if (!isAlive(stat) || stat.startTicks !== startTicks) rmSync(`${parent}/${name}`, { recursive: true, force: true });
    }
  } catch (error) {
    log.warn({ err: error }, `fifos of earlier agents cannot be removed from ${parent}`);
  }
}
