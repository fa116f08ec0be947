/** How busy the host is, measured cheaply for the heartbeat. */
import { cpus, freemem } from "node:os";
import type { Load } from "../schema/worker.ts";
import type { Clock } from "../schema/kit/clock.ts";

/** Reading the counters of many processors takes a while; no heartbeat needs them more often. */
const sampleMs = 2_000;

/** Returns a reader of the load: the share of all processors (0 to 1) that was busy over the last interval, and free memory. */
export function measureLoad(clock: Clock): () => Load {
  let sampled = { mono: Number.NEGATIVE_INFINITY, ...cpuTimes() };
  let load: Load = { cpu: 0, memoryMb: freeMb() };
  return () => {
    const { mono } = clock.now();
    if (mono - sampled.mono < sampleMs) return load;
    const times = cpuTimes();
    const total = times.total - sampled.total;
    load = {
      cpu: total > 0 ? Math.round((1 - (times.idle - sampled.idle) / total) * 1_000) / 1_000 : load.cpu,
      memoryMb: freeMb(),
    };
    sampled = { mono, ...times };
    return load;
  };
}

function cpuTimes(): { readonly idle: number; readonly total: number } {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { idle, total };
}

function freeMb(): number {
  return Math.round(freemem() / 1_048_576);
}
