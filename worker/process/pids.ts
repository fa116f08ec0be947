/**
 * Process ids that were given out since an instant. The kernel gives them out in rising order and begins anew at pid_max, so
 * whoever was born after an instant has a number behind the newest one of then.
 */
import { openSync, readSync } from "node:fs";
import { processClock } from "../../schema/kit/clock.ts";

/** An instant, by the newest process id of then. */
export interface PidMark {
  readonly pid: number;
  /** pid_max of then. */
  readonly pidMax: number;
  readonly atMs: number;
}

export interface Pids {
  /** Now; undefined where the kernel does not tell. */
  mark(): PidMark | undefined;
  /**
   * The ids given out since, in their order, whoever has them or had them; undefined when they cannot be told or are more
   * than `most`.
   */
  since(mark: PidMark, most: number): number[] | undefined;
}

/** No machine forks faster than this: after pid_max of them the numbers may have come round. */
const forksPerMs = 100;

/** The instant before the last `count` ids of then were given out. */
export function before({ pid, pidMax, atMs }: PidMark, count: number): PidMark {
  return { pid: pid > count ? pid - count : pid - count + pidMax, pidMax, atMs };
}

/**
 * Source: /proc/sys/kernel/ns_last_pid (of the reader's pid namespace; kernels with CONFIG_CHECKPOINT_RESTORE) and pid_max,
 * which an administrator may change while we run. `folder` is another only in tests.
 */
export function openPids(folder = "/proc/sys/kernel"): Pids {
  const lastPid = numberIn(`${folder}/ns_last_pid`);
  const pidMaxNow = numberIn(`${folder}/pid_max`);
  return {
    mark: () => {
      // Before the id is read: we may be stopped in between for longer than the numbers take to come round.
      const atMs = processClock.now().mono;
      const pid = lastPid();
      const pidMax = pidMaxNow();
      return pid > 0 && pidMax > 1 ? { pid, pidMax, atMs } : undefined;
    },
    since: (mark, most) => {
      const pid = lastPid();
      const pidMax = pidMaxNow();
      if (!(pid > 0) || pidMax !== mark.pidMax) return undefined;
      if ((processClock.now().mono - mark.atMs) * forksPerMs >= pidMax) return undefined;
      const count = pid >= mark.pid ? pid - mark.pid : pid + pidMax - mark.pid;
      if (count < 0 || count > most) return undefined;
      return Array.from({ length: count }, (_, i) => (mark.pid + 1 + i) % pidMax);
    },
  };
}

/** Reads the number that a file holds now; NaN where there is none. The file stays open. */
function numberIn(path: string): () => number {
  const buffer = Buffer.alloc(32);
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return () => Number.NaN;
  }
  return () => Number.parseInt(buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0)), 10);
}
