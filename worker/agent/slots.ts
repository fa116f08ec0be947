/** Room on this host: what is taken by launched attempts, what is promised to held ones, what is free. */
import type { Capacity } from "../../schema/worker.ts";
import type { AgentState, Attempt } from "./state.ts";

type Needs = Capacity;

/** Sums of shares such as 0.1 drift; two needs that fill a cpu must still fit. */
const cpuDrift = 1e-6;

const nothing: Needs = { slots: 0, memoryMb: 0, cpus: 0 };

/** What an attempt takes of the capacity. */
export function needsOf(attempt: Attempt): Needs {
  return attempt.entry.order?.requires ?? nothing;
}

/** Whether it could run here if nothing else did. */
export function couldFit(capacity: Capacity, needs: Needs): boolean {
  return needs.slots <= capacity.slots && needs.memoryMb <= capacity.memoryMb && needs.cpus <= capacity.cpus + cpuDrift;
}

/** Whether it can be launched now, beside what is launched. */
export function fitsNow(state: AgentState, needs: Needs): boolean {
  return couldFit(minus(state.options.capacity, state.used), needs);
}

/** What neither launched nor held attempts take; never below zero. */
export function freeCapacity(state: AgentState): Capacity {
  const free = { ...minus(state.options.capacity, state.used) };
  for (const id of state.held) {
    const attempt = state.live.get(id);
    if (attempt) take(free, needsOf(attempt), -1);
  }
  return {
    slots: Math.max(0, free.slots),
    memoryMb: Math.max(0, free.memoryMb),
    cpus: Math.max(0, Math.round(free.cpus * 1e6) / 1e6),
  };
}

/** An attempt is launched: its room is taken. */
export function takeRoom(state: AgentState, attempt: Attempt): void {
  take(state.used, needsOf(attempt), 1);
}

/** A launched attempt has ended: its room is free. */
export function giveRoomBack(state: AgentState, attempt: Attempt): void {
  take(state.used, needsOf(attempt), -1);
}

function take(from: { slots: number; memoryMb: number; cpus: number }, needs: Needs, sign: 1 | -1): void {
  from.slots += sign * needs.slots;
  from.memoryMb += sign * needs.memoryMb;
  from.cpus += sign * needs.cpus;
}

function minus(all: Capacity, used: Capacity): Capacity {
  return { slots: all.slots - used.slots, memoryMb: all.memoryMb - used.memoryMb, cpus: all.cpus - used.cpus };
}
