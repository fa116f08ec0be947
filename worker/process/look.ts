/** One pass over the processes of this host that can belong to some trees: kills what does. */
import { processLimits } from "./limits.ts";
import type { PidMark, Pids } from "./pids.ts";
import { isAlive, readStat, readTag, sendSignal, type Stat } from "./proc.ts";
import type { Started } from "./records.ts";
import { makeRiddles, type Riddles } from "./riddles.ts";
import { visitAll, type Visited } from "./visit.ts";

export interface TreeOf {
  /** Null when its shim is unknown. */
  readonly started: Started | null;
  /** From before its launch; null when that was not noted. */
  readonly born: PidMark | null;
}

/**
 * Who is there that is younger than the attempt. `strangers`: only processes that were seen to be somebody else's, which may
 * know its files for all that: a daemon's that did something for it. `unsure`: something of it may have got away.
 */
export type Around = "nobody" | "strangers" | "unsure";

export interface LookOptions {
  /** What stands before the attempt's id in the environment of each of its processes. */
  readonly tagPrefix: string;
  readonly bootId: string;
  readonly pids: Pids;
  /** The live attempt that has this process group. */
  readonly attemptOf: (group: number) => string | undefined;
}

export interface Seen {
  /** Attempts of which some process was found alive. */
  readonly left: ReadonlySet<string>;
  readonly around: Around;
  /** False: somebody got away from this look, being between two programs or born too fast, who may belong to any of the trees. */
  readonly whole: boolean;
  /** All of /proc was read. */
  readonly all: boolean;
}

export type Look = (trees: ReadonlyMap<string, TreeOf & { readonly rounds: number }>) => Promise<Seen>;

/** The trees that were killed in vain before are stopped as a whole first. */
export function makeLook(options: LookOptions): Look {
  const prefix = Buffer.from(options.tagPrefix);
  const ancestors = ancestorsOf(process.pid);
  const riddles = makeRiddles();
  const freeze = freezer(options, riddles);
  return async (trees) => {
    await freeze(new Map([...trees].filter(([, tree]) => tree.rounds >= processLimits.killRounds)));
    const left = new Set<string>();
    const groups = groupsOf(trees, options.bootId);
    const oldest = oldestOf(trees, options.bootId);
    const born = bornOf(trees);
    let around: Around = "nobody";
    const visit = (pid: number, young: ReadonlySet<number>): Visited => {
      if (pid === process.pid) return "done";
      const stat = readStat(pid);
      if (!isAlive(stat)) return "gone";
      // A child is younger than its parent, so nobody who is older than their shims is of these trees.
      if (stat.startTicks < oldest) return "done";
      const [attempt, started] = groups.get(`${stat.group} ${stat.session}`) ?? [];
      // Group and session both: a number that went to somebody else comes with a session that is not our shim's.
      if (attempt !== undefined && started !== undefined && stat.startTicks >= started.startTicks) {
        // The shim waits for the next attempt, or is about to leave.
        if (pid === started.pid) return "done";
        left.add(attempt);
        sendSignal(pid, "SIGKILL");
        return "done";
      }
      const owner = options.attemptOf(stat.group);
      if (owner !== undefined && !trees.has(owner)) return "done";
      // A process that left the group still has the tag, unless it cleared its environment.
      const tagged = riddles.solved(pid, readTag(pid, prefix));
      if (tagged === null) return "again";
      if (tagged === undefined) {
        if (stat.kernel || around === "unsure") return "done";
        around = isStrangers(stat, young, ancestors, options.attemptOf) ? "strangers" : "unsure";
      } else if (trees.has(tagged)) {
        left.add(tagged);
        sendSignal(pid, "SIGKILL");
      }
      return "done";
    };
    const { whole, listed } = await visitAll(options.pids, born, visit);
    riddles.forget();
    return { left, around: whole && !listed ? around : "unsure", whole, all: listed };
  };
}

/**
 * Stops every process of these trees before any is killed: whoever forks faster than processes are killed one by one would
 * never end, and what is stopped neither forks nor makes room for a fork under a bound on processes.
 */
function freezer(options: LookOptions, riddles: Riddles): (trees: ReadonlyMap<string, TreeOf>) => Promise<void> {
  const prefix = Buffer.from(options.tagPrefix);
  return async (trees) => {
    if (trees.size === 0) return;
    const groups = groupsOf(trees, options.bootId);
    const oldest = oldestOf(trees, options.bootId);
    const signalled = new Set<number>();
    let running = 0;
    const visit = (pid: number): Visited => {
      const stat = readStat(pid);
      if (!isAlive(stat)) return "gone";
      if (pid === process.pid || stat.startTicks < oldest || stands(stat, signalled)) return "done";
      const [, started] = groups.get(`${stat.group} ${stat.session}`) ?? [];
      if (pid === started?.pid) return "done";
      if (started === undefined || stat.startTicks < started.startTicks) {
        const tagged = riddles.solved(pid, readTag(pid, prefix));
        if (tagged === null) return "again";
        if (!trees.has(tagged ?? "")) return "done";
      }
      running++;
      signalled.add(pid);
      sendSignal(pid, "SIGSTOP");
      return "done";
    };
    // Until a pass finds nobody who runs: a fork that had begun before the signal came is still made.
    for (let pass = 0; pass < processLimits.freezePasses; pass++) {
      running = 0;
      await visitAll(options.pids, undefined, visit);
      if (running === 0) return;
    }
  };
}

/** Stopped, by a tracer too; or it will be before it does anything: it waits in the kernel, or its first thread has ended. */
function stands({ pid, state }: Stat, signalled: ReadonlySet<number>): boolean {
  return state === "T" || state === "t" || (signalled.has(pid) && state !== "R" && state !== "S");
}

/** Generations that are looked up. */
const generations = 8;

/**
 * Whether somebody else's process made it. An orphan goes to process 1 or to a subreaper among its ancestors, all of which
 * are ours as well, so the child of anybody else who was there before the attempt is none of the attempt's.
 */
function isStrangers(
  stat: Stat,
  young: ReadonlySet<number>,
  ancestors: ReadonlySet<number>,
  attemptOf: LookOptions["attemptOf"],
): boolean {
  let { parent } = stat;
  for (let up = 0; up < generations; up++) {
    // A shim leads its group.
    if (parent <= 1 || ancestors.has(parent) || attemptOf(parent) !== undefined) return false;
    if (!young.has(parent)) return true;
    parent = readStat(parent)?.parent ?? 0;
  }
  return false;
}

function ancestorsOf(pid: number): ReadonlySet<number> {
  const ancestors = new Set<number>();
  for (let up = pid; up > 0 && !ancestors.has(up); up = readStat(up)?.parent ?? 0) ancestors.add(up);
  return ancestors;
}

/** When process 1 of our container or host was started. */
const initTicks = (): number => readStat(1)?.startTicks ?? 0;

/** The groups that these trees have, by group and session. */
function groupsOf(
  trees: ReadonlyMap<string, TreeOf>,
  bootId: string,
): ReadonlyMap<string, readonly [attempt: string, started: Started]> {
  const groups = new Map<string, readonly [string, Started]>();
  for (const [attempt, { started }] of trees) {
    if (started?.bootId !== bootId) continue;
    // Older than process 1: the container it lived in has ended, and the numbers are others' by now.
    if (started.startTicks < initTicks()) continue;
    // A number can only go to somebody else once our group is empty.
    const leader = readStat(started.group);
    if (started.group === started.pid && leader !== undefined && leader.startTicks !== started.startTicks) continue;
    groups.set(`${started.group} ${started.session}`, [attempt, started]);
  }
  return groups;
}

/** When the oldest of their shims was started; -Infinity when one is unknown. */
function oldestOf(trees: ReadonlyMap<string, TreeOf>, bootId: string): number {
  let oldest = Infinity;
  for (const { started } of trees.values())
    oldest = Math.min(oldest, started?.bootId === bootId ? started.startTicks : -Infinity);
  return oldest;
}

/** From before the launch of the first of these trees; undefined when that of one was not noted. */
function bornOf(trees: ReadonlyMap<string, TreeOf>): PidMark | undefined {
  let oldest: PidMark | undefined;
  for (const { born } of trees.values()) {
    if (born === null) return undefined;
    if (oldest === undefined || born.atMs < oldest.atMs) oldest = born;
  }
  return oldest;
}
