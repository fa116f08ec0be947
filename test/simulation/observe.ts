import { stoppedByFence } from "../../schema/end.ts";
import { timing } from "../../schema/limits.ts";
import type { LedgerEntry } from "../../worker/agent/records.ts";
import type { AgentAction } from "../../worker/agent/types.ts";
import type { AgentState } from "./agent.ts";
import type { Counters } from "./counters.ts";
import type { SimHost } from "./host.ts";
import type { Plan } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";

export interface ObserveEnds {
  readonly counters: Counters;
  readonly trace: Trace;
  readonly witness: Witness;
}

/** What an agent says of itself. */
export function observeAction(name: string, action: AgentAction, { counters, trace }: ObserveEnds): void {
  if (action.action !== "note") return;
  const { what, attempt, detail } = action;
  trace.tell(() => `${name} notes ${what} ${attempt ?? ""} ${detail ?? ""}`);
  if (what === "gap") counters.happened("an agent noticed that it was away");
  if (what === "lowerTerm") counters.happened("a lower term was not obeyed");
  if (what === "otherEpoch") counters.happened("a command of another epoch was passed over");
}

/** What an agent writes into its ledger. */
export function observeEntry(
  name: string,
  entry: LedgerEntry,
  before: LedgerEntry | undefined,
  { counters, witness }: ObserveEnds,
): void {
  const { end } = entry;
  if (!before && entry.run === "-") counters.happened("a stop of an unknown attempt was noted");
  if (end?.how === "refused" && end.why.startsWith("stale")) counters.happened("a start was refused as stale");
  if (entry.stopBy === "fence" && before?.stopBy !== "fence") counters.happened("a fence fired");
  if (before?.state === "ended") witness.violated(`${name} writes the end of ${entry.attempt} twice`);
}

/** I9: gone 5 s after the grace of its stop, unless its agent or its host was away meanwhile. */
export function stopMustStick(
  attempt: string,
  graceMs: number,
  host: SimHost,
  { schedule, witness }: ObserveEnds & { readonly schedule: Schedule },
  undisturbed: () => boolean,
): void {
  const sinceMs = schedule.nowMs;
  schedule.after(graceMs + 5_000, () => {
    if (!undisturbed() || host.lastSleep.toMs >= sinceMs || witness.ofAttempt(attempt)?.toMs !== null) return;
    witness.violated(`${attempt} runs on ${host.name} 5 s after the grace of its stop (I9)`);
  });
}

/** Whether the agent has decided, in this very moment, that a fence has passed. Of an entry that waited for room the moment is gone. */
export function firesFence(entry: LedgerEntry, before: LedgerEntry | undefined, host: SimHost): boolean {
  return entry.stopBy === stoppedByFence && before?.stopBy !== stoppedByFence && entry.changedWall === host.now().wall;
}

/** A fence fired. Not while a leader's echo, which the agent has heard and may go by, says that it must not (rules 8, 9). */
export function fenceMustHold(
  attempt: string,
  host: SimHost,
  agent: AgentState | undefined,
  { plan, witness }: { readonly plan: Plan; readonly witness: Witness },
): void {
  const { asOfMono = null, gapMono = 0 } = agent ?? {};
  const lostAfterMs = plan.timing.lostAfterSeconds * 1_000;
  const { mono } = host.now();
  if (asOfMono === null || asOfMono < gapMono) return;
  if (mono >= asOfMono + lostAfterMs - Math.min(timing.fenceStepMs, lostAfterMs / 20)) return;
  witness.violated(`the fence of ${attempt} on ${host.name} fires ${mono - asOfMono} ms after an echo (rule 9)`);
}
