/** How an attempt ended: one reason, decided here once, from what was asked of it and what its exit record says (rule 24). */
import { boundedSentence, stoppedByFence, type End } from "../../schema/end.ts";
import type { LedgerEntry } from "./records.ts";
import { addReport, processFields, type ReportFields } from "./reports.ts";
import { flushProgress } from "./progress.ts";
import { signalNumbers } from "./signals.ts";
import { giveRoomBack } from "./slots.ts";
import type { Attempt } from "./state.ts";
import { note, setEntry, type Turn } from "./turn.ts";
import type { AgentInput, ExitRecord, ResultFound } from "./types.ts";

/** How many of the last ends a person is shown. */
const endsShown = 10;

/** What is known of a process that is gone. */
export interface Gone {
  readonly exit: ExitRecord;
  /** The exit record was not complete when TERM was first sent. */
  readonly termBefore: boolean;
  /** The watchdog ended it on this deadline. */
  readonly timedOut: boolean;
  readonly fenced: boolean;
}

/**
 * The one reason. Whoever ended it first is the reason: what the agent asked for, when TERM went out before the record was
 * complete, whatever the code; then the watchdog; then the record itself. `signalled` only for a signal that was sent
 * through this worker, because in `sh` an `exit 143` and a TERM look alike.
 */
export function endOf(entry: LedgerEntry, gone: Gone): End {
  if (gone.termBefore && entry.timedOut) return { how: "timedOut" };
  if (gone.termBefore && entry.stopBy !== null) return { how: "stopped", by: entry.stopBy };
  if (gone.timedOut) return { how: "timedOut" };
  if (gone.fenced) return { how: "stopped", by: stoppedByFence };
  // An earlier agent's TERM, which a full disk did not hold up; why it was sent was never written, and its code is not the program's.
  if (gone.termBefore) return { how: "lost", why: "its agent ended it and died before it could write why" };
  const { exit } = gone;
  switch (exit.read) {
    case "signal":
      return { how: "signalled", signal: exit.signal };
    case "code": {
      const sent = entry.signals.find((signal) => exit.code === 128 + (signalNumbers[signal] ?? Number.NaN));
      return sent === undefined ? { how: "exited", code: exit.code } : { how: "signalled", signal: sent };
    }
    case "unreadable":
      // A KILL that a client had sent takes the shim with it: there is no record then, and no doubt either.
      if (entry.signals.includes("SIGKILL")) return { how: "signalled", signal: "SIGKILL" };
      return { how: "lost", why: boundedSentence(`unreadable exit: ${exit.why}`) };
  }
}

/** Its shim is gone and its tree is empty (rule 25). */
export function onEnded(turn: Turn, input: Extract<AgentInput, { kind: "ended" }>): void {
  const attempt = turn.state.live.get(input.attempt);
  if (!attempt || attempt.entry.state === "accepted") {
    note(turn, "unexpectedEnd", { attempt: input.attempt, detail: "the end of an attempt that was not launched, or has ended" });
    return;
  }
  endAttempt(turn, attempt, endOf(attempt.entry, input), { at: input.endedWall, ...resultFields(input.result) });
}

/** Writes the end, once: in the ledger, as a report, and in what is free. */
export function endAttempt(turn: Turn, attempt: Attempt, end: End, fields: Partial<ReportFields> = {}): void {
  const { state } = turn;
  const { entry } = attempt;
  flushProgress(turn, attempt);
  if (entry.state !== "accepted") giveRoomBack(state, attempt);
  state.held.delete(entry.attempt);
  state.fenced.delete(entry.attempt);
  state.live.delete(entry.attempt);
  attempt.order = null;
  attempt.dueMono = null;
  recordEnd(turn, attempt, end, fields);
}

/** Puts an end into the ledger and on its way. The attempt is not, or no longer, among the live. */
export function recordEnd(turn: Turn, attempt: Attempt, end: End, fields: Partial<ReportFields> = {}): void {
  const { state } = turn;
  const endSeq = addReport(turn, attempt.entry, "end", { at: turn.now.wall, ...processFields(attempt.entry), ...fields, end });
  setEntry(turn, attempt, { state: "ended", end, endSeq, order: null, timeoutMono: null, killMono: null });
  state.ended.set(attempt.entry.attempt, { entry: attempt.entry, ackedMono: null });
  state.lastEnds.push({ attempt: attempt.entry.attempt, end });
  if (state.lastEnds.length > endsShown) state.lastEnds.shift();
}

/** The result as a report carries it. What could not be taken is said with the end, and changes nothing of the end itself. */
export function resultFields(result: ResultFound): Partial<ReportFields> {
  switch (result.kind) {
    case "none":
      return {};
    case "inline":
      return parsedResult(result.json);
    case "uploaded":
      return { body: { sha256: result.sha256, size: result.size } };
    case "bad":
      return { message: boundedSentence(`The result was left out: ${result.why}`) };
  }
}

function parsedResult(json: string): Partial<ReportFields> {
  try {
    return { result: JSON.parse(json) as NonNullable<ReportFields["result"]> };
  } catch (error) {
    return {
      message: boundedSentence(
        `The result was left out: it is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      ),
    };
  }
}
