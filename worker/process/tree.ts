/** Empties process trees: no end is told before nothing of the attempt runs any more (rule 25). */
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { processLimits } from "./limits.ts";
import { isAlive, listPids, readStat, readTag, sendSignal } from "./proc.ts";
import type { Started } from "./records.ts";

/** One scan of /proc serves all trees that wait for it. */
export interface Reaper {
  /** Kills what is left of the attempt and calls `empty` once a scan has found nothing. `started` is null when its shim is unknown. */
  reap(attempt: string, started: Started | null, empty: () => void): void;
  close(): void;
}

interface Waiting {
  started: Started | null;
  readonly empty: (() => void)[];
  readonly sinceMs: number;
  /** How often it was found not to be empty. */
  rounds: number;
  dueMs: number;
  told: boolean;
}

/** `tagPrefix`: what stands before the attempt's id in the environment of each of its processes. */
export function makeReaper(options: {
  readonly tagPrefix: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Log;
}): Reaper {
  const prefix = Buffer.from(options.tagPrefix);
  const trees = new Map<string, Waiting>();
  let timer: NodeJS.Timeout | undefined;
  let scanning = false;
  let closed = false;
  let restUntilMs = 0;
  const nowMs = (): number => options.clock.now().mono;

  const schedule = (): void => {
    if (scanning || closed || trees.size === 0) return;
    clearTimeout(timer);
    let dueMs = Infinity;
    for (const tree of trees.values()) dueMs = Math.min(dueMs, tree.dueMs);
    timer = setTimeout(() => void round(), Math.max(1, dueMs - nowMs(), restUntilMs - nowMs()));
  };

  const round = async (): Promise<void> => {
    scanning = true;
    const begunMs = nowMs();
    const due = new Map([...trees].filter(([, tree]) => tree.dueMs <= begunMs));
    const left = await killLeftovers(due, prefix, options.bootId);
    scanning = false;
    const endedMs = nowMs();
    restUntilMs = endedMs + (endedMs - begunMs) * processLimits.scanRest;
    for (const [attempt, tree] of due) {
      // Asked for again meanwhile: this scan may have passed by already.
      if (tree.dueMs > begunMs) continue;
      if (!left.has(attempt)) {
        trees.delete(attempt);
        for (const empty of tree.empty) empty();
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
    reap: (attempt, started, empty) => {
      const tree = trees.get(attempt);
      if (tree) {
        tree.started ??= started;
        tree.empty.push(empty);
        tree.dueMs = nowMs();
      } else {
        trees.set(attempt, { started, empty: [empty], sinceMs: nowMs(), rounds: 0, dueMs: nowMs(), told: false });
      }
      schedule();
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** One pass over /proc: kills every process of these trees; returns the attempts of which some was found alive. */
async function killLeftovers(trees: ReadonlyMap<string, Waiting>, prefix: Buffer, bootId: string): Promise<Set<string>> {
  const left = new Set<string>();
  // A process that stayed in the group may have cleared its environment, so the tag alone does not find it.
  const groups = new Map<string, readonly [attempt: string, started: Started]>();
  for (const [attempt, { started }] of trees) {
    if (started?.bootId !== bootId || !sendSignal(-started.group, 0)) continue;
    // A number can only go to somebody else once our group is empty.
    const leader = readStat(started.group);
    if (started.group === started.pid && leader !== undefined && leader.startTicks !== started.startTicks) continue;
    groups.set(`${started.group} ${started.session}`, [attempt, started]);
  }
  let looked = 0;
  for (const pid of listPids()) {
    if (++looked % processLimits.looksPerTurn === 0) await turn();
    if (pid === process.pid) continue;
    const tagged = readTag(pid, prefix);
    if (tagged !== undefined && trees.has(tagged)) {
      left.add(tagged);
      sendSignal(pid, "SIGKILL");
      continue;
    }
    if (groups.size === 0) continue;
    const stat = readStat(pid);
    if (!isAlive(stat)) continue;
    const [attempt, started] = groups.get(`${stat.group} ${stat.session}`) ?? [];
    // Group and session both: a number that went to somebody else comes with a session that is not our launcher's.
    if (attempt === undefined || started === undefined || stat.startTicks < started.startTicks) continue;
    // The shim wrote its exit and is about to leave: it is helped on its way and is no leftover.
    if (pid !== started.pid) left.add(attempt);
    sendSignal(pid, "SIGKILL");
  }
  return left;
}
