/** One step while it is being made. */
import type { Now } from "../../schema/given.ts";
import type { JournalWrite, LedgerEntry, StoredReport } from "./records.ts";
import type { AgentState, Attempt } from "./state.ts";
import type { AgentAction, AgentStep } from "./types.ts";

/** The state, the instant, and what the step wants so far. Everything that one input causes goes through one of these. */
export interface Turn {
  readonly state: AgentState;
  readonly now: Now;
  /** Attempts whose entry changed: written once, as they are when the step is over. */
  readonly touched: Set<string>;
  readonly reports: StoredReport[];
  readonly forgotten: string[];
  termRaised: boolean;
  acked: boolean;
  /** What the journal is to say of reports that no leader can have heard of (rule 1). */
  unheard: { readonly seq: number | null } | null;
  /** A hello shall be published in this step. */
  hello: boolean;
  readonly actions: AgentAction[];
}

/** Begins a step. */
export function newTurn(state: AgentState, now: Now): Turn {
  return {
    state,
    now,
    touched: new Set(),
    reports: [],
    forgotten: [],
    termRaised: false,
    acked: false,
    unheard: null,
    hello: false,
    actions: [],
  };
}

/** Ends a step: the writes in an order in which a reader of the journal would want them, and the actions as they came. */
export function finishTurn(turn: Turn): AgentStep {
  const { state } = turn;
  const journal: JournalWrite[] = [];
  if (turn.reports.length > 0 && !state.heard && !state.notedUnheard) {
    state.notedUnheard = true;
    turn.unheard = { seq: state.seqAtStart };
  }
  if (turn.unheard) journal.push({ write: "unheard", ...turn.unheard });
  if (turn.termRaised || turn.acked)
    journal.push({ write: "meta", set: { highestTerm: state.highestTerm, highestAck: state.highestAck } });
  for (const attempt of turn.touched) {
    const entry = state.live.get(attempt)?.entry ?? state.ended.get(attempt)?.entry;
    if (entry) journal.push({ write: "entry", entry });
  }
  for (const report of turn.reports) journal.push({ write: "report", report });
  if (turn.acked) journal.push({ write: "acked", seq: state.highestAck });
  if (turn.forgotten.length > 0) journal.push({ write: "forget", attempts: turn.forgotten, upTo: state.forgottenSeq });
  // An ack that is lost with this agent only makes the next one send again what the manager passes over (rule 12); each term
  // that was obeyed must be known (rule 15).
  const canWait = turn.acked && !turn.termRaised && !turn.unheard && turn.touched.size === 0 && turn.reports.length === 0;
  return { journal, actions: turn.actions, ...(canWait ? { canWait } : {}) };
}

/** Changes what the journal holds of an attempt. */
export function setEntry(
  turn: Turn,
  attempt: Attempt,
  set: Partial<Omit<LedgerEntry, "attempt" | "run" | "start" | "epoch">>,
): void {
  attempt.entry = { ...attempt.entry, ...set, changedWall: turn.now.wall };
  turn.touched.add(attempt.entry.attempt);
}

/** Something worth a count and a log line. `what` is a fixed word. */
export function note(turn: Turn, what: string, more: { readonly attempt?: string; readonly detail?: string } = {}): void {
  turn.actions.push({ action: "note", what, ...more });
}
