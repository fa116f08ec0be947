/** What must hold in every state: nothing starts twice or beside itself, ends are true and final, nothing is acknowledged that is not stored. */
import type { Change } from "../../../manager/control/changes.ts";
import type { MemoryHeld } from "../../../manager/store/memory.ts";
import { isTerminal } from "../../../schema/run.ts";
import { runId, workerIds, type HostProcess, type World } from "./world.ts";

/** A process begins on worker `at`; the world is the one before. */
export function judgeBegin(world: World, at: number, process: HostProcess): string[] {
  const found: string[] = [];
  if (world.workers[at]?.stops.has(process.attempt))
    found.push(`${nameOf(at)} launches ${process.attempt}, whose stop had come before`);
  for (const [other, { processes }] of world.workers.entries()) {
    for (const known of processes.values()) {
      if (known.attempt === process.attempt)
        found.push(`attempt ${process.attempt} started twice: on ${nameOf(other)} and on ${nameOf(at)}`);
      else if (!known.over)
        found.push(`the run runs twice at once: ${known.attempt} on ${nameOf(other)} and ${process.attempt} on ${nameOf(at)}`);
    }
  }
  return found;
}

/** The agent had a process ended: somebody must have asked for that, or its run must be over. */
export function judgeTerm(world: World, attempt: string): string[] {
  const run = world.store.tables.runs.get(runId);
  if (world.stop.asked || !run || isTerminal(run.state)) return [];
  return [`attempt ${attempt} is stopped, and nobody asked for it: its run is ${run.state}`];
}

/** These changes became durable. */
export function judgeChanges(before: World, after: MemoryHeld, changes: readonly Change[]): string[] {
  const found: string[] = [];
  const state = before.store.tables.runs.get(runId)?.state;
  const ends = changes.filter((change) => change.op === "insertEvent" && change.row.kind === "runEnded").length;
  if (ends > 1 || (ends === 1 && state && isTerminal(state))) found.push("the run ended twice");
  const now = after.tables.runs.get(runId)?.state;
  if (state && isTerminal(state) && now !== state) found.push(`the run was ${state} and became ${now ?? "nothing"}`);
  if (now === "succeeded" && !processesOf(before).some(({ code }) => code === 0))
    found.push("the run succeeded, and no process of it exited 0");
  if (now === "stopped" && !before.stop.asked) found.push("the run is stopped, and nobody asked for it");
  for (const change of changes) {
    if (change.op === "insertAttempt" && state && isTerminal(state))
      found.push(`attempt ${change.row.id} was placed, and the run was ${state}`);
    if (change.op === "insertAttempt" && before.stop.answered)
      found.push(`attempt ${change.row.id} was placed, and the run was to be stopped`);
    if (change.op === "updateAttempt" && change.set.end?.how === "refused") {
      const ran = processesOf(before).find(({ attempt }) => attempt === change.id);
      if (ran) found.push(`attempt ${change.id} is called refused (${change.set.end.why}), and it ran`);
    }
  }
  return found;
}

/** What a worker takes as acknowledged must be in the store. */
export function judgeAcks(world: World): string[] {
  return world.workers.flatMap(({ meta }, at) => {
    const applied = world.store.tables.journals.get(`${nameOf(at)}/${meta.journal}`)?.applied ?? 0;
    return meta.highestAck > applied
      ? [`${nameOf(at)} was acknowledged report ${meta.highestAck}, the store has them up to ${applied}`]
      : [];
  });
}

function processesOf(world: World): HostProcess[] {
  return world.workers.flatMap(({ processes }) => [...processes.values()]);
}

function nameOf(at: number): string {
  return workerIds[at] ?? String(at);
}
