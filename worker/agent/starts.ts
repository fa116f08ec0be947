/** A start: answered when it is known, refused with a reason, or accepted, durably, before anything else (rules 2, 3, 6). */
import { boundedSentence } from "../../schema/end.ts";
import { workerLimits } from "../../schema/limits.ts";
import type { StartItem } from "../../schema/messages.ts";
import { arm } from "./deadlines.ts";
import { endAttempt, recordEnd } from "./ends.ts";
import { mayStart } from "./freshness.ts";
import { launchHeld } from "./launch.ts";
import { entryOf, liveAttempt, newEntry } from "./ledger.ts";
import type { StartOrder } from "./records.ts";
import { answer, reportsFull, reportState } from "./reports.ts";
import { couldFit, freeCapacity } from "./slots.ts";
import type { AgentState } from "./state.ts";
import { note, type Turn } from "./turn.ts";
import type { AgentInput } from "./types.ts";

/** `freshFromMono` is the echo in the start's own envelope: the manager's proof that it never ran counts from it (rule 7). */
export function onStart(turn: Turn, item: StartItem, freshFromMono: number): void {
  const { state } = turn;
  const known = entryOf(state, item.attempt);
  if (known) {
    answer(turn, known);
    return;
  }
  if (reportsFull(state)) {
    note(turn, "tooManyReports", { attempt: item.attempt, detail: "start dropped: too many reports wait for an ack" });
    return;
  }
  const { kind: _, ttlMs, body, ...rest } = item;
  const order: StartOrder = { ...rest, body: body ?? null };
  const attempt = liveAttempt(newEntry(turn, item.attempt, ledgerOrder(order)));
  const why = mayStart(state, turn.now.mono, { freshFromMono, ttlMs })
    ? whyNot(state, order)
    : "stale: it was on its way for too long";
  if (why !== null) {
    recordEnd(turn, attempt, { how: "refused", why: boundedSentence(why) });
    return;
  }
  state.longestTtlMs = Math.max(state.longestTtlMs, ttlMs);
  attempt.order = order;
  attempt.freshFromMono = freshFromMono;
  attempt.ttlMs = ttlMs;
  attempt.waitsForBody = order.body !== null;
  state.live.set(item.attempt, attempt);
  state.held.add(item.attempt);
  turn.touched.add(item.attempt);
  reportState(turn, attempt.entry);
  if (order.body) turn.actions.push({ action: "fetchBody", attempt: item.attempt, body: order.body });
  arm(state, attempt);
  launchHeld(turn);
}

/** A body came over HTTP; its env lies below the start's own. */
export function onBodyFetched(turn: Turn, input: Extract<AgentInput, { kind: "bodyFetched" }>): void {
  const attempt = turn.state.live.get(input.attempt);
  if (!attempt?.order || !attempt.waitsForBody) return;
  attempt.order = {
    ...attempt.order,
    spec: input.spec as NonNullable<StartOrder["spec"]>,
    env: { ...input.env, ...attempt.order.env },
  };
  attempt.waitsForBody = false;
  launchHeld(turn);
}

/** A body cannot be had. */
export function onBodyFailed(turn: Turn, input: Extract<AgentInput, { kind: "bodyFailed" }>): void {
  const attempt = turn.state.live.get(input.attempt);
  if (!attempt?.waitsForBody) return;
  endAttempt(turn, attempt, { how: "refused", why: boundedSentence(`body not fetched: ${input.why}`) });
}

/** Why this worker cannot take a fresh start of an attempt that it does not know; null when it can. */
function whyNot(state: AgentState, order: StartOrder): string | null {
  const { options } = state;
  if (state.leaving) return "leaving: the worker is being shut down";
  if (state.draining) return "draining: the worker takes no new starts";
  if (!state.room) return "no room: the worker's disk is full";
  if (!options.facts.drivers.includes(order.driver))
    return `no driver ${order.driver}: this worker has ${options.facts.drivers.join(", ") || "none"}`;
  if (order.onLost === "retry" && order.lostAfterSeconds === undefined)
    return "onLost is retry, and the start does not say lostAfterSeconds";
  if (order.onLost === "retry" && !options.fences)
    return "onLost is retry, and this host cannot stop a run by itself when the agent is dead";
  if (order.spec === undefined && order.body === null) return "the start carries neither spec nor body";
  if (order.body !== null && !options.http)
    return "body not fetched: this worker has no HTTP way to the manager (MUSTER_MANAGER_URL)";
  return whyNoRoom(state, order);
}

/**
 * Held starts are promised their room already. A few more than fit are accepted all the same (the manager's prefetch), so
 * that a slot never waits for the wire; one that is no longer fresh when room comes is refused, and placed elsewhere.
 */
function whyNoRoom(state: AgentState, order: StartOrder): string | null {
  const { capacity } = state.options;
  if (!couldFit(capacity, order.requires)) {
    return `does not fit: it needs ${needsText(order.requires)}, this worker has ${needsText(capacity)}`;
  }
  if (state.live.size >= workerLimits.slotsMax) return `no room: ${state.live.size} attempts are live here`;
  if (state.held.size < workerLimits.heldStarts) return null;
  if (couldFit(freeCapacity(state), order.requires)) return null;
  return `no room: it needs ${needsText(order.requires)}, free is ${needsText(freeCapacity(state))}`;
}

function needsText(needs: { readonly slots: number; readonly memoryMb: number; readonly cpus: number }): string {
  return `${needs.slots} slots, ${needs.memoryMb} MB, ${needs.cpus} cpus`;
}

/** The order as the ledger keeps it: without what only a launch needs. */
function ledgerOrder(order: StartOrder): StartOrder {
  const { spec: _, ...rest } = order;
  return { ...rest, env: {}, body: null };
}
