/** Instants at which an attempt needs something: a start goes stale, a timeout, a fence or a KILL is due. */
import { timing } from "../../schema/limits.ts";
import { peekDue, popDue, pushDue, type DueHeap } from "./due.ts";
import type { AgentState, Attempt } from "./state.ts";
import type { Deadlines } from "./types.ts";

/** Old instants in the heap beyond this many times the live attempts make it be built anew. */
const heapSlack = 4;

/** When something must be done about the attempt, by its state. */
function dueOf(attempt: Attempt): number | null {
  const { entry } = attempt;
  switch (entry.state) {
    case "accepted":
      return attempt.order === null ? null : attempt.freshFromMono + attempt.ttlMs;
    case "launching":
    case "running":
      return earlier(entry.timeoutMono, attempt.fenceMono);
    case "stopping":
      return earlier(attempt.killMono, attempt.fenceMono);
    case "ended":
      return null;
  }
}

/** Puts the attempt's next instant in the heap, if it has changed. */
export function arm(state: AgentState, attempt: Attempt): void {
  const due = dueOf(attempt);
  if (due === attempt.dueMono) return;
  attempt.dueMono = due;
  if (due !== null) pushDue(state.due, due, attempt.entry.attempt);
  if (state.due.items.length > heapSlack * state.live.size + 64) rebuild(state);
}

/** The earliest instant that still holds, in mono ms; drops those that do not. */
export function firstDue(state: AgentState): number | null {
  for (;;) {
    const item = peekDue(state.due);
    if (!item) return null;
    if (state.live.get(item.attempt)?.dueMono === item.mono) return item.mono;
    popDue(state.due);
  }
}

/** Takes the next attempt whose instant has come; undefined when there is none. */
export function takeDue(state: AgentState, mono: number): Attempt | undefined {
  const due = firstDue(state);
  if (due === null || due > mono) return undefined;
  const attempt = state.live.get(popDue(state.due)?.attempt ?? "");
  if (attempt) attempt.dueMono = null;
  return attempt;
}

/**
 * What the watchdog is to enforce by itself. Its timeout lies one of its ticks behind the agent's own, so that the agent,
 * while it lives, is the one that acts; its fence does not, because the leader counts on that very instant (rule 8).
 */
export function deadlinesOf(attempt: Attempt): Deadlines {
  const { order, timeoutMono } = attempt.entry;
  return {
    timeoutMono: timeoutMono === null ? null : timeoutMono + timing.watchdogTickMs,
    fenceMono: attempt.fenceMono,
    graceMs: (order?.killGraceSeconds ?? timing.killGraceSeconds) * 1_000,
  };
}

function rebuild(state: AgentState): void {
  const heap: DueHeap = { items: [] };
  for (const attempt of state.live.values()) if (attempt.dueMono !== null) pushDue(heap, attempt.dueMono, attempt.entry.attempt);
  state.due.items = heap.items;
}

function earlier(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}
