/** Empties process trees: no end is told before nothing of the attempt runs any more (rule 25). */
import { existsSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { processClock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
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

/** One look at /proc serves all trees that wait for it. */
export interface Reaper {
  /**
   * Kills what is left of the attempt, but for its shim, and calls `empty` once a look has found nothing.
   */
  reap(attempt: string, tree: TreeOf, empty: (around: Around) => void): void;
  close(): void;
}

interface Waiting {
  started: Started | null;
  born: PidMark | null;
  readonly empty: ((around: Around) => void)[];
  readonly sinceMs: number;
  /** How often it was found not to be empty. */
  rounds: number;
  dueMs: number;
  told: boolean;
}

export interface ReaperOptions {
  /** What stands before the attempt's id in the environment of each of its processes. */
  readonly tagPrefix: string;
  readonly bootId: string;
  readonly pids: Pids;
  /** The live attempt that has this process group. */
  readonly attemptOf: (group: number) => string | undefined;
  readonly log: Log;
}

export function makeReaper(options: ReaperOptions): Reaper {
  const look = looker(options);
  const trees = new Map<string, Waiting>();
  let timer: NodeJS.Timeout | undefined;
  let soon: NodeJS.Immediate | undefined;
  let looking = false;
  let closed = false;
  let restUntilMs = 0;
  const nowMs = (): number => processClock.now().mono;

  const schedule = (): void => {
    if (looking || closed || trees.size === 0) return;
    let dueMs = Infinity;
    for (const tree of trees.values()) dueMs = Math.min(dueMs, tree.dueMs);
    const waitMs = Math.max(dueMs, restUntilMs) - nowMs();
    clearTimeout(timer);
    if (waitMs > 0) timer = setTimeout(() => void round(), waitMs);
    else soon ??= setImmediate(() => void round());
  };

  const round = async (): Promise<void> => {
    soon = undefined;
    if (looking || closed) return;
    looking = true;
    const begunMs = nowMs();
    const before = process.threadCpuUsage();
    const due = new Map([...trees].filter(([, tree]) => tree.dueMs <= begunMs));
    const seen = await look(due);
    looking = false;
    const endedMs = nowMs();
    // By what it cost, not by how long it took: beside a fork bomb that is the wait for a processor.
    const used = process.threadCpuUsage(before);
    if (seen.all) restUntilMs = endedMs + ((used.user + used.system) / 1_000) * processLimits.scanRest;
    for (const [attempt, tree] of due) {
      // Asked for again meanwhile: this look may have passed by already.
      if (tree.dueMs > begunMs) continue;
      if (!seen.left.has(attempt)) {
        trees.delete(attempt);
        for (const empty of tree.empty) empty(tree.rounds === 0 ? seen.around : "unsure");
        continue;
      }
      tree.dueMs = endedMs + Math.min(processLimits.scanAgainMaxMs, processLimits.scanAgainMs * 2 ** tree.rounds++);
      if (!tree.told && endedMs - tree.sinceMs > processLimits.treeStuckMs) {
        tree.told = true;
        options.log.warn({ attemptId: attempt }, "processes of this attempt do not die after KILL; its end waits for them");
      }
    }
    schedule();
  };

  return {
    reap: (attempt, { started, born }, empty) => {
      const tree = trees.get(attempt);
      if (tree) {
        tree.started ??= started;
        tree.born ??= born;
        tree.empty.push(empty);
        tree.dueMs = nowMs();
      } else {
        trees.set(attempt, { started, born, empty: [empty], sinceMs: nowMs(), rounds: 0, dueMs: nowMs(), told: false });
      }
      schedule();
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
      clearImmediate(soon);
    },
  };
}

interface Seen {
  /** Attempts of which some process was found alive. */
  readonly left: ReadonlySet<string>;
  readonly around: Around;
  /** All of /proc was read. */
  readonly all: boolean;
}

/**
 * Stops every process of these trees before any is killed: whoever forks faster than processes are killed one by one would
 * never end, and what is stopped neither forks nor makes room for a fork under a bound on processes.
 */
function freezer(options: ReaperOptions): (trees: ReadonlyMap<string, Waiting>) => Promise<void> {
  const prefix = Buffer.from(options.tagPrefix);
  return async (trees) => {
    if (trees.size === 0) return;
    const groups = groupsOf(trees, options.bootId);
    for (let pass = 0; pass < processLimits.freezePasses; pass++) {
      let running = 0;
      let looked = 0;
      for (const pid of listPids()) {
        if (++looked % processLimits.looksPerTurn === 0) await turn();
        const stat = readStat(pid);
        if (pid === process.pid || !isAlive(stat) || stat.state === "T") continue;
        const [, started] = groups.get(`${stat.group} ${stat.session}`) ?? [];
        if (pid === started?.pid) continue;
        if (started === undefined || stat.startTicks < started.startTicks) {
          if (stat.kernel || !trees.has(readTag(pid, prefix) ?? "")) continue;
        }
        running++;
        sendSignal(pid, "SIGSTOP");
      }
      if (running === 0) return;
    }
  };
}

/** One pass over the processes that can belong to these trees: kills what does. */
function looker(options: ReaperOptions): (trees: ReadonlyMap<string, Waiting>) => Promise<Seen> {
  const prefix = Buffer.from(options.tagPrefix);
  const ancestors = ancestorsOf(process.pid);
  const freeze = freezer(options);
  return async (trees) => {
    await freeze(new Map([...trees].filter(([, tree]) => tree.rounds >= processLimits.killRounds)));
    const left = new Set<string>();
    const groups = groupsOf(trees, options.bootId);
    const young = bornSince(trees, options.pids);
    let around: Around = young === undefined ? "unsure" : "nobody";
    let looked = 0;
    for (const pid of young ?? listPids()) {
      if (++looked % processLimits.looksPerTurn === 0) await turn();
      if (pid === process.pid || (young && !existsSync(`/proc/${pid}`))) continue;
      const stat = readStat(pid);
      if (!isAlive(stat)) continue;
      const [attempt, started] = groups.get(`${stat.group} ${stat.session}`) ?? [];
      // Group and session both: a number that went to somebody else comes with a session that is not our shim's.
      if (attempt !== undefined && started !== undefined && stat.startTicks >= started.startTicks) {
        // The shim waits for the next attempt, or is about to leave.
        if (pid === started.pid) continue;
        left.add(attempt);
        sendSignal(pid, "SIGKILL");
        continue;
      }
      const owner = options.attemptOf(stat.group);
      if (owner !== undefined && !trees.has(owner)) continue;
      // A process that left the group still has the tag, unless it cleared its environment.
      const tagged = readTag(pid, prefix);
      if (tagged === undefined) {
        if (stat.kernel || around === "unsure") continue;
        around = isStrangers(stat, young, ancestors, options.attemptOf) ? "strangers" : "unsure";
      } else if (trees.has(tagged)) {
        left.add(tagged);
        sendSignal(pid, "SIGKILL");
      }
    }
    return { left, around, all: young === undefined };
  };
}

/** Generations that are looked up. */
const generations = 8;

/**
 * Whether somebody else's process made it. An orphan goes to process 1 or to a subreaper among its ancestors, all of which
 * are ours as well, so the child of anybody else who was there before the attempt is none of the attempt's.
 */
function isStrangers(
  stat: Stat,
  young: readonly number[] | undefined,
  ancestors: ReadonlySet<number>,
  attemptOf: ReaperOptions["attemptOf"],
): boolean {
  if (!young) return false;
  let { parent } = stat;
  for (let up = 0; up < generations; up++) {
    // A shim leads its group.
    if (parent <= 1 || ancestors.has(parent) || attemptOf(parent) !== undefined) return false;
    if (!young.includes(parent)) return true;
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
  trees: ReadonlyMap<string, Waiting>,
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
function bornSince(trees: ReadonlyMap<string, Waiting>, pids: Pids): readonly number[] | undefined {
  let oldest: PidMark | undefined;
  for (const { born } of trees.values()) {
    if (born === null) return undefined;
    if (oldest === undefined || born.atMs < oldest.atMs) oldest = born;
  }
  return oldest && pids.since(oldest, processLimits.pidsLookedAt);
}
