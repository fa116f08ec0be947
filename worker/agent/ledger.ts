/** The ledger: every attempt this journal ever took, refused or stopped, so that nothing is obeyed twice (rules 3, 4). */
import { workerLimits } from "../../schema/limits.ts";
import { unknownRun, type LedgerEntry, type StartOrder } from "./records.ts";
import type { AgentState, Attempt, Ended } from "./state.ts";
import type { Turn } from "./turn.ts";

/** What the ledger has of an attempt, live or ended. */
export function entryOf(state: AgentState, attempt: string): LedgerEntry | undefined {
  return state.live.get(attempt)?.entry ?? state.ended.get(attempt)?.entry;
}

/** Whether its end is acknowledged, so that its folder may go once its logs are shipped. */
export function isSettled(state: AgentState, attempt: string): boolean {
  const ended = state.ended.get(attempt);
  return ended !== undefined && ended.ackedMono !== null;
}

/** A first entry. `order` as the journal keeps it; null for a stop of an attempt that was never here. */
export function newEntry(turn: Turn, attempt: string, order: StartOrder | null): LedgerEntry {
  return {
    attempt,
    run: order?.run ?? unknownRun,
    start: 1,
    state: "accepted",
    epoch: order === null ? null : turn.state.options.epoch,
    order,
    process: null,
    startedWall: null,
    stopBy: null,
    timedOut: false,
    timeoutMono: null,
    killMono: null,
    signals: [],
    launchBootId: null,
    end: null,
    endSeq: 0,
    changedWall: turn.now.wall,
  };
}

/** An entry in memory, with nothing due and nothing launched. */
export function liveAttempt(entry: LedgerEntry): Attempt {
  return {
    entry,
    order: null,
    freshFromMono: 0,
    ttlMs: 0,
    waitsForBody: false,
    fenceMono: null,
    fenceSpent: false,
    killMono: null,
    dueMono: null,
    progress: null,
    progressSeq: 0,
    progressMono: Number.NEGATIVE_INFINITY,
  };
}

/**
 * Forgets the oldest ended attempts while the ledger is over its bounds of count or age. Never one whose end is not
 * acknowledged, and none within startTtl of the ack: a copy of its start could still be fresh (rule 3).
 */
export function forgetOld(turn: Turn): void {
  const { state, now } = turn;
  for (const [attempt, ended] of state.ended) {
    if (turn.forgotten.length >= workerLimits.ledgerForgottenAtOnce) return;
    const surplus = state.ended.size > workerLimits.ledgerEntries;
    const old = now.wall - ended.entry.changedWall > workerLimits.ledgerKeptMs;
    if (!(surplus || old) || !mayForget(state, ended, now.mono)) return;
    state.ended.delete(attempt);
    state.forgottenSeq = Math.max(state.forgottenSeq, ended.entry.endSeq);
    turn.forgotten.push(attempt);
  }
}

function mayForget(state: AgentState, ended: Ended, mono: number): boolean {
  return ended.ackedMono !== null && mono - ended.ackedMono > Math.max(state.settings.startTtlMs, state.longestTtlMs);
}
