/** From accepted to running: `launching` is durable before the launcher is told (rule 23). */
import { boundedSentence } from "../../schema/end.ts";
import { arm, deadlinesOf } from "./deadlines.ts";
import { endAttempt } from "./ends.ts";
import { fenceOf } from "./fence.ts";
import { mayStart } from "./freshness.ts";
import { reportState } from "./reports.ts";
import { fitsNow, needsOf, takeRoom } from "./slots.ts";
import type { Attempt } from "./state.ts";
import { note, setEntry, type Turn } from "./turn.ts";
import type { AgentInput } from "./types.ts";

/** Launches held starts that fit, oldest first; one that does not fit never blocks a smaller one behind it. */
export function launchHeld(turn: Turn): void {
  const { state, now } = turn;
  for (const id of state.held) {
    const attempt = state.live.get(id);
    if (!attempt || attempt.waitsForBody || !fitsNow(state, needsOf(attempt))) continue;
    if (mayStart(state, now.mono, attempt)) launch(turn, attempt);
    else refuseStale(turn, attempt);
  }
}

/** An accepted start that could not be launched while it was fresh (rule 6). */
export function refuseStale(turn: Turn, attempt: Attempt): void {
  const why = attempt.waitsForBody ? "body not fetched in time" : "stale: no room came free in time";
  endAttempt(turn, attempt, { how: "refused", why });
}

/** The shim wrote `started`. */
export function onStarted(turn: Turn, input: Extract<AgentInput, { kind: "started" }>): void {
  const attempt = turn.state.live.get(input.attempt);
  if (!attempt || attempt.entry.process !== null || attempt.entry.state === "accepted") {
    note(turn, "unexpectedStarted", { attempt: input.attempt });
    return;
  }
  const { process, startedWall } = input;
  if (attempt.entry.state === "stopping") {
    setEntry(turn, attempt, { process, startedWall });
    // The first TERM found no process yet.
    turn.actions.push({ action: "terminate", attempt: input.attempt });
    return;
  }
  setEntry(turn, attempt, { state: "running", process, startedWall });
  reportState(turn, attempt.entry);
}

/**
 * It never ran and never will. One that was to be stopped before is stopped, and not placed again. The shim makes its mark
 * before it executes the program, so a program that cannot be executed is told of second; a refusal never is.
 */
export function onNotStarted(turn: Turn, input: Extract<AgentInput, { kind: "notStarted" }>): void {
  const attempt = turn.state.live.get(input.attempt);
  if (!attempt || (attempt.entry.process !== null && input.how === "refused")) {
    note(turn, "unexpectedNotStarted", { attempt: input.attempt, detail: input.why });
    return;
  }
  const { stopBy } = attempt.entry;
  if (input.how === "refused" && stopBy !== null) endAttempt(turn, attempt, { how: "stopped", by: stopBy });
  else endAttempt(turn, attempt, { how: input.how, why: boundedSentence(input.why) });
}

function launch(turn: Turn, attempt: Attempt): void {
  const { state, now } = turn;
  const { order } = attempt;
  if (!order) return;
  state.held.delete(attempt.entry.attempt);
  setEntry(turn, attempt, {
    state: "launching",
    launchBootId: state.options.facts.bootId,
    timeoutMono: order.timeoutSeconds === null ? null : now.mono + order.timeoutSeconds * 1_000,
  });
  takeRoom(state, attempt);
  attempt.fenceMono = fenceOf(state, attempt);
  if (order.onLost === "retry") state.fenced.add(order.attempt);
  turn.actions.push({
    action: "launch",
    order,
    deadlines: deadlinesOf(attempt),
    freshUntilMono: attempt.freshFromMono + attempt.ttlMs,
  });
  // The script and the env may be large, and nobody launches it a second time.
  attempt.order = null;
  arm(state, attempt);
}
