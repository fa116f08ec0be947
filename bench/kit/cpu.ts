/** CPU time and memory of processes, from /proc (proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: the unit of times in /proc/<pid>/stat, the same on every Linux that Node runs on. */
const ticksPerSecond = 100;

interface Stat {
  readonly parent: number;
  /** Own user and system time, and that of children that have ended and were waited for, milliseconds. */
  readonly cpuMs: number;
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // It has ended meanwhile.
  }
  // The name in parentheses may hold anything; fields are counted from behind it: state is the third.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
  return { parent: Number(fields[1]), cpuMs: (ticks * 1_000) / ticksPerSecond };
}

/** CPU time of a process and everything below it so far, milliseconds; what it has waited for counts, what others reaped does not. */
export function treeCpuMs(root: number): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? readStat(pid) : undefined;
    if (stat) stats.set(pid, stat);
  }
  let sum = 0;
  for (const [pid, { cpuMs }] of stats) if (isBelow(stats, pid, root)) sum += cpuMs;
  return sum;
}

function isBelow(stats: ReadonlyMap<number, Stat>, pid: number, root: number): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = stats.get(at)?.parent) if (at === root) return true;
  return false;
}

/** CPU time between two looks at the same parts, microseconds for each of `count`. */
export function cpuForEach(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
  count: number,
): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([part, ms]) => [part, ((ms - (before[part] ?? 0)) * 1_000) / count]));
}

/** Resident memory of one process, MiB. */
export function residentMb(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  if (!line) throw new Error(`process ${pid} has no VmRSS`);
  return Number(line[1]) / 1_024;
}

/** The monotonic clock of the host, milliseconds: the same in every process. */
export function hostMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
