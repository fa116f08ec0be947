/** The shims of this agent: each serves one attempt at a time, and the next when nothing is left of the last one. */
import { spawnSync } from "node:child_process";
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { processClock } from "../../schema/kit/clock.ts";
import type { Launcher } from "./launcher.ts";
import { processLimits } from "./limits.ts";
import { isAlive, readStat } from "./proc.ts";
import type { Started } from "./records.ts";
import { systemPath } from "./who.ts";

/** A shim as the agent holds it: by the writing end of its fifo. When that closes, the shim leaves after its attempt. */
export interface Shim {
  readonly fifo: string;
  attempt: string | null;
  /** Null once it was let go. */
  file: number | null;
  /** Known since its first claim. */
  group: number | null;
  idleSinceMs: number;
}

export interface Shims {
  /** Gives the attempt to a shim that is free, or to a new one. */
  give(attempt: string): Shim;
  /** Gives it to a new one: nobody knows what became of the shim that had it. */
  giveToNew(attempt: string): Shim;
  /** Its claim was read. */
  claimed(shim: Shim, started: Started): void;
  /** Nothing is left of its attempt. `again`: it may serve the next. */
  free(shim: Shim, again: boolean): void;
  /** It serves its attempt to the end and leaves. */
  letGo(shim: Shim): void;
  /** The live attempt that has this process group. */
  attemptOf(group: number): string | undefined;
  /** Lets go of those that nobody has needed for a while; called with every poll. */
  tend(): void;
  close(): void;
}

/** `folder` is the worker's own; fifos lie in a folder of this process below it. Throws when the host has no mkfifo(1). */
export function openShims(options: { readonly folder: string; readonly launcher: Launcher }): Shims {
  return new Pool(options.launcher, fifosFor(`${options.folder}/shims`));
}

/** Some file systems, such as those that a virtual machine shares with its host, have no fifos; /tmp has. */
function fifosFor(folder: string): Fifos {
  try {
    return makeFifos(folder);
  } catch (error) {
    try {
      return makeFifos(mkdtempSync("/tmp/muster-shims-"));
    } catch {
      throw error;
    }
  }
}

class Pool implements Shims {
  readonly #launcher: Launcher;
  readonly #fifos: Fifos;
  /** The one used last is at the end, and is the next. */
  readonly #idle: Shim[] = [];
  readonly #held = new Set<Shim>();
  readonly #byGroup = new Map<number, Shim>();
  #left = 0;

  constructor(launcher: Launcher, fifos: Fifos) {
    this.#launcher = launcher;
    this.#fifos = fifos;
  }

  give(attempt: string): Shim {
    for (let shim = this.#idle.pop(); shim; shim = this.#idle.pop()) if (this.#tell(shim, attempt)) return shim;
    return this.giveToNew(attempt);
  }

  giveToNew(attempt: string): Shim {
    const fifo = this.#fifos.next();
    // For both, so that the first line waits in the fifo until the shim is there to read it.
    const file = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const shim: Shim = { fifo, attempt: null, file, group: null, idleSinceMs: 0 };
    this.#held.add(shim);
    this.#launcher.send(`.shim ${fifo}\n`);
    this.#tell(shim, attempt);
    return shim;
  }

  claimed(shim: Shim, started: Started): void {
    if (shim.file === null || shim.group !== null) return;
    shim.group = started.group;
    this.#byGroup.set(started.group, shim);
    try {
      // From now on the shim is the only reader: a write fails when it is gone.
      const file = openSync(shim.fifo, constants.O_WRONLY | constants.O_NONBLOCK);
      closeSync(shim.file);
      shim.file = file;
    } catch {
      this.letGo(shim);
    }
  }

  free(shim: Shim, again: boolean): void {
    shim.attempt = null;
    if (!again || shim.file === null || shim.group === null || this.#idle.length >= processLimits.idleShims) {
      this.#drop(shim);
      return;
    }
    shim.idleSinceMs = processClock.now().mono;
    this.#idle.push(shim);
  }

  letGo(shim: Shim): void {
    if (shim.file === null) return;
    closeSync(shim.file);
    shim.file = null;
    this.#held.delete(shim);
    rmSync(shim.fifo, { force: true });
    // Without it a shell keeps a line for every child it ever had.
    if (++this.#left % processLimits.shimsPerSweep === 0) this.#launcher.send(".sweep\n");
  }

  attemptOf(group: number): string | undefined {
    return this.#byGroup.get(group)?.attempt ?? undefined;
  }

  tend(): void {
    const beforeMs = processClock.now().mono - processLimits.idleShimMs;
    while (this.#idle.length > processLimits.idleShimsKept && (this.#idle[0]?.idleSinceMs ?? Infinity) < beforeMs) {
      const shim = this.#idle.shift();
      if (shim) this.#drop(shim);
    }
  }

  close(): void {
    for (const shim of this.#held) this.letGo(shim);
    this.#idle.length = 0;
    this.#fifos.close();
  }

  /** False when it is gone: somebody ended it while it was idle. */
  #tell(shim: Shim, attempt: string): boolean {
    if (shim.file === null) return false;
    try {
      writeSync(shim.file, `${attempt}\n`);
      shim.attempt = attempt;
      return true;
    } catch {
      this.#drop(shim);
      return false;
    }
  }

  #drop(shim: Shim): void {
    shim.attempt = null;
    if (shim.group !== null && this.#byGroup.get(shim.group) === shim) this.#byGroup.delete(shim.group);
    this.letGo(shim);
  }
}

interface Fifos {
  next(): string;
  close(): void;
}

/** Makes fifos a few at a time: Node cannot, and mkfifo(1) costs as much for one as for many. */
function makeFifos(parent: string): Fifos {
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  removeOthers(parent);
  const folder = `${parent}/${process.pid}.${readStat(process.pid)?.startTicks ?? 0}.${openings++}`;
  mkdirSync(folder, { mode: 0o700 });
  const ready: string[] = [];
  let made = 0;
  const make = (): void => {
    const names = Array.from({ length: processLimits.fifosAtOnce }, () => `${folder}/${made++}`);
    const { status, error, stderr } = spawnSync("mkfifo", ["-m", "600", ...names], {
      env: { PATH: systemPath },
      encoding: "utf8",
      timeout: 5_000,
    });
    if (status !== 0) throw new Error(`fifos for the shims cannot be made in ${folder}: ${error?.message ?? stderr.trim()}`);
    ready.push(...names.reverse());
  };
  make();
  return {
    next: () => {
      if (ready.length === 0) make();
      return ready.pop() as string;
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A process may open more than one host; each has fifos of its own. */
let openings = 0;

/** What agents that are gone left: their shims hold their fifos open as long as they need them. */
function removeOthers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [pid, startTicks] = name.split(".").map(Number);
    const stat = readStat(pid ?? 0);
    if (!isAlive(stat) || stat.startTicks !== startTicks) rmSync(`${parent}/${name}`, { recursive: true, force: true });
  }
}
