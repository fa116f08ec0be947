/** Visits processes, and those that are born meanwhile: who forks and ends is never in a list that is older than his child. */
import { existsSync } from "node:fs";
import { setImmediate as turn, setTimeout as rest } from "node:timers/promises";
import { processLimits } from "./limits.ts";
import { before, type PidMark, type Pids } from "./pids.ts";
import { listPids } from "./proc.ts";

/** `gone`: nobody has the number any more. `again`: it is there, and nothing can be told of it at this instant. */
export type Visited = "done" | "gone" | "again";

/** `seen`: who is or will be visited, as far as it is known. */
export type Visit = (pid: number, seen: ReadonlySet<number>) => Visited;

export interface Round {
  /** False: there was no end of those who were born, or `again` was said of one all the time. */
  readonly whole: boolean;
  /** The kernel did not tell some numbers, so older processes were visited too. */
  readonly listed: boolean;
}

/**
 * Visits those who were born since `born`, when the kernel can tell their numbers and they are few, else all processes of
 * the host; and then those that are born meanwhile until there are none.
 *
 * A number is given out a moment before anybody is seen under it (kernel/fork.c, copy_process: alloc_pid; then, under one lock,
 * fatal_signal_pending and attach_pid). Nobody gets away for all that: numbers are visited in their order, so a parent before
 * its child. Found alive, it is killed, and a fork that is not done by then fails; found dead, its forks are done, and the
 * child is seen.
 */
export async function visitAll(pids: Pids, born: PidMark | undefined, visit: Visit): Promise<Round> {
  const births = followBirths(pids);
  const young = born && pids.since(born, processLimits.pidsLookedAt);
  let listed = young === undefined;
  let next = young ?? listAll(births, new Set());
  const seen = new Set(young);
  let looked = 0;
  for (let pass = 0; pass < processLimits.looksAfterNewborn; pass++) {
    const again: number[] = [];
    let gone = 0;
    for (const pid of next) {
      if (++looked % processLimits.looksPerTurn === 0) {
        births.gather();
        await turn();
      }
      seen.add(pid);
      // Most numbers are nobody's; this costs less than a file that cannot be opened.
      const visited = existsSync(`/proc/${pid}`) ? visit(pid, seen) : "gone";
      if (visited === "again") again.push(pid);
      if (visited === "gone") gone++;
    }
    const { numbers, lost } = births.take();
    let further = numbers;
    if (lost) {
      listed = true;
      // Each of a list is there still, so they have no children but those whom the list has; or those are known by now.
      if (!births.tell && again.length + gone === 0) return { whole: true, listed };
      further = [...listAll(births, seen), ...numbers];
    }
    if (again.length + further.length === 0) return { whole: true, listed };
    if (further.length === 0) await rest(processLimits.lookAgainMs);
    next = [...again, ...further];
  }
  return { whole: false, listed };
}

/** All but `seen`, and then whose number was given out, but who may not have been there when his place in the list was read. */
function listAll(births: Births, seen: ReadonlySet<number>): number[] {
  const list = new Set(listPids());
  for (const pid of births.earlier()) list.add(pid);
  return [...list].filter((pid) => !seen.has(pid));
}

interface Births {
  /** The kernel tells numbers. */
  readonly tell: boolean;
  /** The last numbers before the newest that was noted. */
  earlier(): readonly number[];
  /** Notes the numbers that were given out since it was called last; often, so that they never come round in between. */
  gather(): void;
  /** Those since it was called last; `lost`: not all of them. */
  take(): { readonly numbers: number[]; readonly lost: boolean };
}

function followBirths(pids: Pids): Births {
  let mark = pids.mark();
  let numbers: number[] = [];
  let lost = mark === undefined;
  const gather = (): void => {
    const last = mark;
    mark = pids.mark();
    const born = last && pids.since(last, processLimits.pidsGathered);
    if (born) numbers.push(...born);
    else lost = true;
  };
  return {
    tell: mark !== undefined,
    earlier: () => (mark && pids.since(before(mark, processLimits.forksAtOnce), processLimits.pidsGathered)) ?? [],
    gather,
    take: () => {
      gather();
      const taken = { numbers, lost };
      numbers = [];
      lost = false;
      return taken;
    },
  };
}
