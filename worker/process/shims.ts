/** The shims of this agent: each serves one attempt at a time, and the next when nothing is left of the last one. */
import { closeSync, constants, openSync, rmSync, writeSync } from "node:fs";
import { processClock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { makeFifos, type Fifos } from "./fifos.ts";
import type { Launcher } from "./launcher.ts";
import { processLimits } from "./limits.ts";
import { isAlive, readStat } from "./proc.ts";
import type { Started } from "./records.ts";

/** A shim as the agent holds it: by the writing end of its fifo. When that closes, the shim leaves after its attempt. */
export interface Shim {
  fifo: string;
  attempt: string | null;
  /** Null before it has a fifo, and once it was let go. */
  file: number | null;
  /** Known since its first claim. */
  group: number | null;
  /** Null before its first claim. */
  made: Made | null;
  /** Attempts that it was given. */
  served: number;
  idleSinceMs: number;
}

/** What a shim was when it was made, as far as that is seen at the price of one small file. */
interface Made {
  readonly startTicks: number;
  readonly scheduling: string;
}

export interface Shims {
  /**
   * Gives the attempt to a shim that is free, or to a new one. It never throws: a shim that the host cannot make just now
   * claims nothing, and the attempt is given anew later.
   */
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
export function openShims(options: { readonly folder: string; readonly launcher: Launcher; readonly log: Log }): Shims {
  return new Pool(options.launcher, (onMade) => makeFifos(`${options.folder}/shims`, options.log, onMade));
}

class Pool implements Shims {
  readonly #launcher: Launcher;
  readonly #fifos: Fifos;
  /** The one used last is at the end, and is the next. */
  readonly #idle: Shim[] = [];
  readonly #held = new Set<Shim>();
  readonly #byGroup = new Map<number, Shim>();
  /** New ones that have no fifo yet, in their order. */
  readonly #waiting = new Set<Shim>();
  /** Batches of fifos of which none could be used, one after the other. */
  #vain = 0;
  #left = 0;

  constructor(launcher: Launcher, fifos: (onMade: () => void) => Fifos) {
    this.#launcher = launcher;
    this.#fifos = fifos(() => this.#beginWaiting());
    this.#fifos.make();
  }

  give(attempt: string): Shim {
    for (let shim = this.#idle.pop(); shim; shim = this.#idle.pop()) if (this.#tell(shim, attempt)) return shim;
    return this.giveToNew(attempt);
  }

  giveToNew(attempt: string): Shim {
    const shim: Shim = { fifo: "", attempt, file: null, group: null, made: null, served: 0, idleSinceMs: 0 };
    if (this.#waiting.size > 0 || !this.#begin(shim, attempt)) {
      this.#waiting.add(shim);
      this.#fifos.make();
    }
    return shim;
  }

  #begin(shim: Shim, attempt: string): boolean {
    const fifo = this.#fifos.take();
    if (fifo === undefined) return false;
    try {
      // For both, so that the first line waits in the fifo until the shim is there to read it.
      shim.file = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    } catch {
      // Somebody removed it, and the others with it; or the agent has too many files open.
      this.#fifos.forget();
      return false;
    }
    shim.fifo = fifo;
    this.#held.add(shim);
    this.#launcher.send(`.shim ${fifo}\n`);
    return this.#tell(shim, attempt);
  }

  #beginWaiting(): void {
    this.#vain++;
    for (const shim of this.#waiting) {
      // Called off meanwhile when it has no attempt.
      if (shim.attempt !== null && !this.#begin(shim, shim.attempt)) break;
      this.#waiting.delete(shim);
      this.#vain = 0;
    }
    if (this.#waiting.size > 0 && this.#vain < processLimits.fifoTries) {
      this.#fifos.make();
      return;
    }
    // Given anew when nobody has claimed their attempts for a while.
    this.#waiting.clear();
    this.#vain = 0;
  }

  claimed(shim: Shim, started: Started): void {
    if (shim.file === null || shim.group !== null) return;
    shim.group = started.group;
    this.#byGroup.set(started.group, shim);
    // Its program may have changed it already, but hardly the launcher, from which it has all that.
    const scheduling = readStat(readStat(started.pid)?.parent ?? 0)?.scheduling;
    if (scheduling !== undefined) shim.made = { startTicks: started.startTicks, scheduling };
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
    const room = this.#idle.length < processLimits.idleShims && shim.served < processLimits.attemptsPerShim;
    if (!again || shim.file === null || shim.group === null || !room || !isAsMade(shim.group, shim.made)) {
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
    try {
      rmSync(shim.fifo, { force: true });
    } catch {
      // It goes with its folder.
    }
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
    this.#waiting.clear();
    this.#fifos.close();
  }

  /** False when it is gone: somebody ended it while it was idle. */
  #tell(shim: Shim, attempt: string): boolean {
    if (shim.file === null) return false;
    try {
      writeSync(shim.file, `${attempt}\n`);
      shim.attempt = attempt;
      shim.served++;
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

/** An attempt may have acted on its process group, of which the shim is one: reniced it, or stopped it. */
function isAsMade(pid: number, made: Made | null): boolean {
  const stat = readStat(pid);
  return isAlive(stat) && stat.state !== "T" && stat.startTicks === made?.startTicks && stat.scheduling === made.scheduling;
}
