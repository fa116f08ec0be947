import { mkdirSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";
import type { Found } from "../agent/types.ts";
import type { Attempts } from "./attempts.ts";
import type { DeadlineFiles } from "./deadlines.ts";
import { notExecuted, readEnd } from "./ending.ts";
import { processLimits } from "./limits.ts";
import { someoneWorksIn } from "./proc.ts";
import { claimVoid, makeVoid, readExit, readStarted, shimAlive, type Started, type StartedRecord } from "./records.ts";
import { readResult } from "./result.ts";
import type { RecoverAsk } from "./tracked.ts";
import type { Reaper } from "./tree.ts";

export interface RecoverDeps {
  readonly attempts: Attempts;
  readonly bootId: string;
  readonly reaper: Reaper;
  readonly deadlines: DeadlineFiles;
}

interface Known {
  readonly started: Started;
  readonly wall: number;
}

/**
 * What became of attempts while no agent ran. Those that are alive are taken up and reach the listener when they end; those
 * that never started are made void first (rule 23); those that ended are told only once their tree is empty (rule 25).
 */
export async function recoverAttempts(asked: readonly RecoverAsk[], deps: RecoverDeps): Promise<Found[]> {
  const claims = new Map(asked.map((ask) => [ask.attempt, claimed(ask, deps)]));
  // Void or claimed are all of them by now, so no shim goes on to another of them from here on.
  const busy = new Set(asked.flatMap(({ attempt }) => busyShim(attempt, claims.get(attempt), deps)));
  return Promise.all(asked.map((ask) => recoverOne(ask, claims.get(ask.attempt), busy, deps)));
}

/** What decides whether the attempt runs: `void` when we came first; undefined for an attempt of another boot. */
function claimed({ attempt, launchBootId }: RecoverAsk, deps: RecoverDeps): StartedRecord | undefined {
  if (launchBootId !== null && launchBootId !== deps.bootId) return undefined;
  const folder = deps.attempts.folderOf(attempt);
  // A start that was journalled may not have come to a folder yet; made now, a line that is still in a fifo finds it void.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return makeVoid(folder, attempt) ? { is: "void" } : readStarted(folder, attempt);
}

const nameOf = ({ pid, startTicks }: Started): string => `${pid} ${startTicks}`;

function busyShim(attempt: string, claim: StartedRecord | undefined, deps: RecoverDeps): string[] {
  const blank = readExit(deps.attempts.folderOf(attempt), attempt).is === "blank";
  return claim?.is === "complete" && blank ? [nameOf(claim.started)] : [];
}

async function recoverOne(
  ask: RecoverAsk,
  claim: StartedRecord | undefined,
  busy: ReadonlySet<string>,
  deps: RecoverDeps,
): Promise<Found> {
  const { attempt } = ask;
  const folder = deps.attempts.folderOf(attempt);
  if (claim === undefined) {
    const record = readStarted(folder, attempt);
    const exit = readExit(folder, attempt);
    if ((exit.is === "complete" || exit.is === "norun") && record.is === "complete") return ended(ask, record, deps);
    deps.deadlines.drop(attempt);
    return { attempt, found: "rebooted" };
  }
  const known = claim.is === "complete" ? claim : claim.is === "void" ? undefined : await settled(folder, attempt);
  if (known === "unsettled") {
    // Its shim hangs between two lines of its script; the chase of live attempts goes on.
    deps.attempts.adopt(attempt, ask.limits, null);
    return { attempt, found: "starting" };
  }
  if (known === undefined) {
    await emptied(attempt, null, deps);
    deps.deadlines.drop(attempt);
    return { attempt, found: "neverStarted" };
  }
  const over = readExit(folder, attempt).is !== "blank";
  if (shimAlive(known.started, deps.bootId) && !over) return adopted(ask, known, deps);
  // A shim goes on to another attempt only when nothing is left of this one: the group is that one's then.
  const group = over && busy.has(nameOf(known.started)) ? null : known.started;
  if (!(await emptied(attempt, group, deps))) return adopted(ask, known, deps);
  return ended(ask, known, deps);
}

/** `started` once it is whole; undefined when it is void or its maker died over it, so that nothing ran and nothing will. */
async function settled(folder: string, attempt: string): Promise<Known | undefined | "unsettled"> {
  for (let waitedMs = 0; waitedMs < processLimits.recoverMs; waitedMs += processLimits.recoverLookMs) {
    const record = readStarted(folder, attempt);
    if (record.is === "complete") return record;
    // It may have been whole and done between the two looks: then our claim is not the first.
    if (record.is === "void" || (!someoneWorksIn(folder) && claimVoid(folder, attempt))) return undefined;
    await after(processLimits.recoverLookMs);
  }
  return "unsettled";
}

/** Kills leftovers; false when some did not die in time, so that the end has to be told later. */
function emptied(attempt: string, started: Started | null, deps: RecoverDeps): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), processLimits.recoverMs);
    deps.reaper.reap(attempt, { started, born: null }, () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

function adopted(ask: RecoverAsk, known: Known, deps: RecoverDeps): Found {
  deps.attempts.adopt(ask.attempt, ask.limits, known.started);
  return { attempt: ask.attempt, found: "alive", process: processOf(known), startedWall: known.wall };
}

function ended(ask: RecoverAsk, known: Known, deps: RecoverDeps): Found {
  const { attempt } = ask;
  const folder = deps.attempts.folderOf(attempt);
  const not = notExecuted(readExit(folder, attempt), folder);
  if (not) {
    deps.deadlines.drop(attempt);
    return not.how === "refused" ? { attempt, found: "neverStarted" } : { attempt, found: "failedToStart", why: not.why };
  }
  const result = readResult(`${folder}/result`, ask.limits.resultBytes);
  // It has to be uploaded first, which is the way of an end that the listener hears.
  if (result.kind === "toUpload") return adopted(ask, known, deps);
  deps.deadlines.drop(attempt);
  const { exit, termBefore, timedOut, fenced } = readEnd(folder, readExit(folder, attempt), true);
  return {
    attempt,
    found: "exited",
    exit,
    result,
    process: processOf(known),
    startedWall: known.wall,
    termBefore,
    timedOut,
    fenced,
  };
}

function processOf({ started: { bootId, pid, startTicks } }: Known): { bootId: string; pid: number; startTicks: number } {
  return { bootId, pid, startTicks };
}
