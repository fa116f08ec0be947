/** Empties process trees: no end is told before nothing of the attempt runs any more (rule 25). */
import { processClock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { processLimits } from "./limits.ts";
import { makeLook, type Around, type LookOptions, type Seen, type TreeOf } from "./look.ts";

/** One look at /proc serves all trees that wait for it. */
export interface Reaper {
  /**
   * Kills what is left of the attempt, but for its shim, and calls `empty` once a look has found nothing.
   */
  reap(attempt: string, tree: TreeOf, empty: (around: Around) => void): void;
  close(): void;
}

interface Waiting {
  started: TreeOf["started"];
  born: TreeOf["born"];
  readonly empty: ((around: Around) => void)[];
  readonly sinceMs: number;
  /** How often it was found not to be empty. */
  rounds: number;
  /** Since when nothing of it was found by looks that somebody got away from, and how many of them. */
  unsureSinceMs: number | undefined;
  unsureLooks: number;
  dueMs: number;
  told: boolean;
}

export interface ReaperOptions extends LookOptions {
  readonly log: Log;
}

export function makeReaper(options: ReaperOptions): Reaper {
  const look = makeLook(options);
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
      const againMs = againInMs(tree, seen, seen.left.has(attempt), endedMs);
      if (againMs === undefined) {
        trees.delete(attempt);
        for (const empty of tree.empty) empty(tree.rounds === 0 ? seen.around : "unsure");
        continue;
      }
      tree.dueMs = endedMs + againMs;
      if (tree.told || endedMs - tree.sinceMs <= processLimits.treeStuckMs) continue;
      tree.told = true;
      options.log.warn({ attemptId: attempt }, "processes of this attempt do not die after KILL; its end waits for them");
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
        trees.set(attempt, waitingTree({ started, born }, empty, nowMs()));
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

function waitingTree({ started, born }: TreeOf, empty: (around: Around) => void, sinceMs: number): Waiting {
  const unsure = { unsureSinceMs: undefined, unsureLooks: 0 };
  return { started, born, empty: [empty], sinceMs, rounds: 0, ...unsure, dueMs: sinceMs, told: false };
}

/** How long after a look the tree is looked for again; undefined when it is empty. */
function againInMs(tree: Waiting, seen: Seen, left: boolean, nowMs: number): number | undefined {
  if (left) {
    tree.unsureSinceMs = undefined;
    // Ever later while something of it is killed in vain.
    return Math.min(processLimits.scanAgainMaxMs, processLimits.scanAgainMs * 2 ** tree.rounds++);
  }
  if (seen.whole) return undefined;
  if (tree.unsureSinceMs === undefined) [tree.unsureSinceMs, tree.unsureLooks] = [nowMs, 0];
  tree.unsureLooks++;
  // Time alone says nothing: this process may have stood still for all of it.
  const enough = nowMs - tree.unsureSinceMs >= processLimits.lookGivenUpMs && tree.unsureLooks >= processLimits.looksGivenUp;
  return enough ? undefined : processLimits.scanAgainMs;
}
