/**
 * Process ids that were given out since an instant. The kernel gives them out in rising order and begins anew at pid_max, so
 * whoever was born after an instant has a number behind the newest one of then.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { processClock } from "../../schema/kit/clock.ts";

/** An instant, by the newest process id of then. */
export interface PidMark {
  readonly pid: number;
  readonly atMs: number;
}

export interface Pids {
  /** Now; undefined where the kernel does not tell. */
  mark(): PidMark | undefined;
  /** The ids given out since, whoever has them or had them; undefined when they cannot be told or are more than `most`. */
  since(mark: PidMark, most: number): number[] | undefined;
}

/** No machine forks faster than this: after pid_max of them the numbers may have come round. */
const forksPerMs = 100;

/** Source: /proc/sys/kernel/ns_last_pid (of the reader's pid namespace; kernels with CONFIG_CHECKPOINT_RESTORE) and pid_max. */
export function openPids(): Pids {
  const pidMax = readNumber("/proc/sys/kernel/pid_max");
  const last = opened("/proc/sys/kernel/ns_last_pid");
  const buffer = Buffer.alloc(32);
  const lastPid = (): number => {
    if (last === undefined) return 0;
    return Number.parseInt(buffer.toString("latin1", 0, readSync(last, buffer, 0, buffer.length, 0)), 10);
  };
  return {
    mark: () => {
      const pid = lastPid();
      return pid > 0 ? { pid, atMs: processClock.now().mono } : undefined;
    },
    since: (mark, most) => {
      const pid = lastPid();
      if (!(pid > 0) || !(pidMax > 1)) return undefined;
      if ((processClock.now().mono - mark.atMs) * forksPerMs >= pidMax) return undefined;
      const count = pid >= mark.pid ? pid - mark.pid : pid + pidMax - mark.pid;
      if (count > most) return undefined;
      return Array.from({ length: count }, (_, i) => (mark.pid + 1 + i) % pidMax);
    },
  };
}

function opened(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}

function readNumber(path: string): number {
  const file = opened(path);
  if (file === undefined) return Number.NaN;
  try {
    const buffer = Buffer.alloc(32);
    return Number.parseInt(buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0)), 10);
  } finally {
    closeSync(file);
  }
}
