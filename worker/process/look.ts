/** One pass over the processes of this host that can belong to some trees: kills what does. */
import { existsSync } from "node:fs";
import { setImmediate as turn, setTimeout as rest } from "node:timers/promises";
import { processLimits } from "./limits.ts";
import type { PidMark, Pids } from "./pids.ts";
import { isAlive, listPids, readStat, readTag, sendSignal, type Stat } from "./proc.ts";
import type { Started } from "./records.ts";

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
  const freeze = freezer(options);
  return async (trees) => {
    await freeze(new Map([...trees].filter(([, tree]) => tree.rounds >= processLimits.killRounds)));
    const left = new Set<string>();
    const groups = groupsOf(trees, options.bootId);
    const young = bornSince(trees, options.pids);
    let around: Around = young === undefined ? "unsure" : "nobody";
    const visit = (pid: number): Visited => {
      if (pid === process.pid || (young && !existsSync(`/proc/${pid}`))) return "done";
      young?.add(pid);
      const stat = readStat(pid);
      if (!isAlive(stat)) return "done";
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
      const tagged = readTag(pid, prefix);
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
    const whole = await visitAll(options.pids, () => young ?? listPids(), visit);
    return { left, around: whole ? around : "unsure", whole, all: young === undefined };
  };
}

/**
 * Stops every process of these trees before any is killed: whoever forks faster than processes are killed one by one would
 * never end, and what is stopped neither forks nor makes room for a fork under a bound on processes.
 */
function freezer(options: LookOptions): (trees: ReadonlyMap<string, TreeOf>) => Promise<void> {
  const prefix = Buffer.from(options.tagPrefix);
  return async (trees) => {
    if (trees.size === 0) return;
    const groups = groupsOf(trees, options.bootId);
    let running = 0;
    const visit = (pid: number): Visited => {
      const stat = readStat(pid);
      if (pid === process.pid || !isAlive(stat) || stat.state === "T") return "done";
      const [, started] = groups.get(`${stat.group} ${stat.session}`) ?? [];
      if (pid === started?.pid) return "done";
      if (started === undefined || stat.startTicks < started.startTicks) {
        const tagged = readTag(pid, prefix);
        if (tagged === null) return "again";
        if (!trees.has(tagged ?? "")) return "done";
      }
      running++;
      sendSignal(pid, "SIGSTOP");
      return "done";
    };
    // Until a pass finds nobody who runs: a fork that had begun before the signal came is still made.
    for (let pass = 0; pass < processLimits.freezePasses; pass++) {
      running = 0;
      await visitAll(options.pids, listPids, visit);
      if (running === 0) return;
    }
  };
}

/** `again`: it is there, and nothing can be told of it at this instant. */
type Visited = "done" | "again";

/**
 * Visits the processes of a list, and then those that were born meanwhile until there are none: who forks and ends is never
 * in a list that is older than his child. False: there was no end of them, or `again` was said of one all the time.
 */
async function visitAll(pids: Pids, list: () => Iterable<number>, visit: (pid: number) => Visited): Promise<boolean> {
  let mark = pids.mark();
  let next = [...list()];
  let looked = 0;
  for (let pass = 0; pass < processLimits.looksAfterNewborn; pass++) {
    const again: number[] = [];
    for (const pid of next) {
      if (++looked % processLimits.looksPerTurn === 0) await turn();
      if (visit(pid) === "again") again.push(pid);
    }
    const before: PidMark | undefined = mark;
    mark = pids.mark();
    const born: readonly number[] | undefined = before ? pids.since(before, processLimits.pidsLookedAt) : [];
    if (born === undefined) return false;
    if (again.length + born.length === 0) return true;
    if (born.length === 0) await rest(processLimits.lookAgainMs);
    next = [...again, ...born];
  }
  return false;
}

/** Generations that are looked up. */
const generations = 8;

/**
 * Whether somebody else's process made it. An orphan goes to process 1 or to a subreaper among its ancestors, all of which
 * are ours as well, so the child of anybody else who was there before the attempt is none of the attempt's.
 */
function isStrangers(
  stat: Stat,
  young: ReadonlySet<number> | undefined,
  ancestors: ReadonlySet<number>,
  attemptOf: LookOptions["attemptOf"],
): boolean {
  if (!young) return false;
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

/** The groups that these trees have, by group and session. */
function groupsOf(
  trees: ReadonlyMap<string, TreeOf>,
  bootId: string,
): ReadonlyMap<string, readonly [attempt: string, started: Started]> {
  const groups = new Map<string, readonly [string, Started]>();
  for (const [attempt, { started }] of trees) {
    if (started?.bootId !== bootId) continue;
    // A number can only go to somebody else once our group is empty.
    const leader = readStat(started.group);
    if (started.group === started.pid && leader !== undefined && leader.startTicks !== started.startTicks) continue;
    groups.set(`${started.group} ${started.session}`, [attempt, started]);
  }
  return groups;
}

/** All processes that can belong to one of these trees, when they are few: numbers, of which most are of nobody any more. */
function bornSince(trees: ReadonlyMap<string, TreeOf>, pids: Pids): Set<number> | undefined {
  let oldest: PidMark | undefined;
  for (const { born } of trees.values()) {
    if (born === null) return undefined;
    if (oldest === undefined || born.atMs < oldest.atMs) oldest = born;
  }
  const born = oldest && pids.since(oldest, processLimits.pidsLookedAt);
  return born && new Set(born);
}
