/**
 * Progress of attempts. It is news and not history: at most one report of an attempt is unacknowledged, and at most one is
 * made in `progressMs`. What comes faster, or while nobody acknowledges, is overtaken in memory by what comes later; the
 * newest goes out before the end does. So an hour without a manager costs the journal nothing.
 */
import { boundedSentence } from "../../schema/end.ts";
import { timing } from "../../schema/limits.ts";
import { addReport } from "./reports.ts";
import type { Attempt } from "./state.ts";
import type { Turn } from "./turn.ts";
import type { AgentInput } from "./types.ts";

/** A process told how far it is. */
export function onProgress(turn: Turn, input: Extract<AgentInput, { kind: "progress" }>): void {
  const { state } = turn;
  const attempt = state.live.get(input.attempt);
  if (!attempt || attempt.entry.state === "accepted") return;
  const percent = input.percent === null || !Number.isFinite(input.percent) ? null : Math.min(100, Math.max(0, input.percent));
  const message = input.message === null ? null : boundedSentence(input.message);
  if (percent === null && message === null) return;
  attempt.progress = { percent, message };
  state.progressWaiting.add(input.attempt);
  reportProgress(turn, attempt);
}

/** With a tick: reports what may be reported by now. */
export function progressDue(turn: Turn): void {
  const { state } = turn;
  if (state.progressWaiting.size === 0 || turn.now.mono < state.progressMono) return;
  state.progressMono = turn.now.mono + timing.progressMs;
  for (const id of state.progressWaiting) {
    const attempt = state.live.get(id);
    if (attempt) reportProgress(turn, attempt);
    else state.progressWaiting.delete(id);
  }
}

/** The attempt ends: its last progress goes before the end, or never. */
export function flushProgress(turn: Turn, attempt: Attempt): void {
  if (attempt.progress) send(turn, attempt);
}

function reportProgress(turn: Turn, attempt: Attempt): void {
  const { state, now } = turn;
  if (!state.link.synced || attempt.progressSeq > state.highestAck) return;
  if (now.mono - attempt.progressMono < timing.progressMs) return;
  send(turn, attempt);
}

function send(turn: Turn, attempt: Attempt): void {
  const { progress } = attempt;
  turn.state.progressWaiting.delete(attempt.entry.attempt);
  attempt.progress = null;
  if (!progress) return;
  attempt.progressMono = turn.now.mono;
  attempt.progressSeq = addReport(turn, attempt.entry, "progress", {
    at: turn.now.wall,
    ...(progress.percent === null ? {} : { percent: progress.percent }),
    ...(progress.message === null ? {} : { message: progress.message }),
  });
}
