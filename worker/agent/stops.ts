/** Stops, signals and passed deadlines: TERM, grace, KILL, until the tree is gone. */
import { stoppedByFence } from "../../schema/end.ts";
import { timing } from "../../schema/limits.ts";
import type { DownItem } from "../../schema/messages.ts";
import { arm } from "./deadlines.ts";
import { endAttempt, recordEnd } from "./ends.ts";
import { refuseStale } from "./launch.ts";
import { liveAttempt, newEntry } from "./ledger.ts";
import { answer, reportsFull, reportState } from "./reports.ts";
import type { Attempt } from "./state.ts";
import { note, setEntry, type Turn } from "./turn.ts";

type StopItem = Extract<DownItem, { kind: "stop" }>;
type SignalItem = Extract<DownItem, { kind: "signal" }>;

/** A stop. One of an unknown attempt becomes its end, so that a start that comes later is refused (rule 4). */
export function onStop(turn: Turn, item: Pick<StopItem, "attempt" | "by" | "graceSeconds">): void {
  const { state } = turn;
  const attempt = state.live.get(item.attempt);
  if (attempt) {
    if (attempt.entry.state === "stopping") answer(turn, attempt.entry);
    stopAttempt(turn, attempt, item);
    return;
  }
  const ended = state.ended.get(item.attempt);
  if (ended) {
    answer(turn, ended.entry);
    return;
  }
  if (reportsFull(state)) {
    note(turn, "tooManyReports", {
      attempt: item.attempt,
      detail: "stop of an unknown attempt dropped: too many reports wait for an ack",
    });
    return;
  }
  recordEnd(turn, liveAttempt(newEntry(turn, item.attempt, null)), { how: "stopped", by: item.by });
}

/** Stops a live attempt. What is not launched ends at once; a second stop may shorten the grace and changes nothing else. */
export function stopAttempt(turn: Turn, attempt: Attempt, stop: { readonly by: string; readonly graceSeconds: number }): void {
  if (attempt.entry.state === "accepted") {
    endAttempt(turn, attempt, { how: "stopped", by: stop.by });
    return;
  }
  if (attempt.entry.state === "stopping") {
    hasten(turn, attempt, stop.graceSeconds);
    return;
  }
  beginStopping(turn, attempt, { stopBy: stop.by, timedOut: false }, stop.graceSeconds);
}

/** A signal for the process. Remembered before it is sent, because only then may the end be `signalled` (rule 24). */
export function onSignal(turn: Turn, item: Pick<SignalItem, "attempt" | "signal">): void {
  const { state } = turn;
  const attempt = state.live.get(item.attempt);
  if (!attempt || attempt.entry.process === null) {
    note(turn, "signalWithoutProcess", { attempt: item.attempt, detail: item.signal });
    const ended = state.ended.get(item.attempt);
    if (ended) answer(turn, ended.entry);
    return;
  }
  if (!attempt.entry.signals.includes(item.signal)) setEntry(turn, attempt, { signals: [...attempt.entry.signals, item.signal] });
  turn.actions.push({ action: "signal", attempt: item.attempt, signal: item.signal });
  answer(turn, attempt.entry);
}

/** An instant of the attempt has come. */
export function onDue(turn: Turn, attempt: Attempt): void {
  const { mono } = turn.now;
  const { entry } = attempt;
  const graceSeconds = entry.order?.killGraceSeconds ?? timing.killGraceSeconds;
  const fencePassed = attempt.fenceMono !== null && attempt.fenceMono <= mono;
  switch (entry.state) {
    case "accepted":
      refuseStale(turn, attempt);
      return;
    case "launching":
    case "running": {
      const timeoutPassed = entry.timeoutMono !== null && entry.timeoutMono <= mono;
      const timeoutFirst = timeoutPassed && !(fencePassed && (attempt.fenceMono ?? 0) < (entry.timeoutMono ?? 0));
      if (fencePassed) spendFence(attempt);
      if (timeoutFirst) beginStopping(turn, attempt, { stopBy: null, timedOut: true }, graceSeconds);
      else if (fencePassed) beginStopping(turn, attempt, { stopBy: stoppedByFence, timedOut: false }, graceSeconds);
      else arm(turn.state, attempt);
      return;
    }
    case "stopping":
      if (fencePassed) {
        spendFence(attempt);
        // A stop with a longer grace must not outlive the fence: the leader counts on it (rule 8).
        hasten(turn, attempt, graceSeconds);
      }
      if (attempt.killMono !== null && attempt.killMono <= mono) {
        turn.actions.push({ action: "kill", attempt: entry.attempt });
        attempt.killMono = mono + timing.killRepeatMs;
      }
      arm(turn.state, attempt);
      return;
    case "ended":
      return;
  }
}

function beginStopping(
  turn: Turn,
  attempt: Attempt,
  why: { readonly stopBy: string | null; readonly timedOut: boolean },
  graceSeconds: number,
): void {
  const killMono = turn.now.mono + graceSeconds * 1_000;
  setEntry(turn, attempt, { state: "stopping", ...why, killMono });
  attempt.killMono = killMono;
  reportState(turn, attempt.entry);
  turn.actions.push({ action: "terminate", attempt: attempt.entry.attempt });
  arm(turn.state, attempt);
}

/** KILL no later than after this grace. */
function hasten(turn: Turn, attempt: Attempt, graceSeconds: number): void {
  const killMono = turn.now.mono + graceSeconds * 1_000;
  if (attempt.killMono === null || killMono >= attempt.killMono) return;
  attempt.killMono = killMono;
  setEntry(turn, attempt, { killMono });
  arm(turn.state, attempt);
}

function spendFence(attempt: Attempt): void {
  attempt.fenceMono = null;
  attempt.fenceSpent = true;
}
