import { openSync, readSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Now } from "../given.ts";

/** The only readers of time; everything else is given a `Clock`. */
export interface Clock {
  now(): Now;
}

/** The only maker of waits where a simulation must be able to hold time; everything that waits there is given `Timers`. */
export interface Timers {
  /** Calls `act` once when `ms` are over; what it returns takes that back. */
  after(ms: number, act: () => void): () => void;
  /** Calls `act` once everything that has arrived by now was read. */
  afterArrived(act: () => void): void;
}

/** This process's own timers. */
export const processTimers: Timers = {
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
  afterArrived: (act) => void setImmediate(act),
};

/** This process's monotonic clock, for the manager: the host's suspend is the manager's own absence (rule 10). */
export const processClock: Clock = {
  now: () => ({ mono: performance.now(), wall: Date.now() }),
};

/**
 * The host's boot-time clock, for the worker: it counts suspend and outlives the agent (rule 5).
 * Source: proc(5), /proc/uptime, seconds with two decimals. Where there is none, the wall clock at the agent's start plus
 * this process's monotonic time stands in, which is why such hosts do not offer `onLost: retry`.
 */
export function bootClock(): Clock {
  try {
    const readUptimeMs = uptimeReader();
    readUptimeMs();
    return { now: () => ({ mono: readUptimeMs(), wall: Date.now() }) };
  } catch {
    const origin = Date.now() - performance.now();
    return { now: () => ({ mono: origin + performance.now(), wall: Date.now() }) };
  }
}

/** The file stays open: it is read with every message and every tick. A read from position 0 gives the present uptime. */
function uptimeReader(): () => number {
  const file = openSync("/proc/uptime", "r");
  const buffer = Buffer.alloc(64);
  return () => Math.round(Number.parseFloat(buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0))) * 1_000);
}
