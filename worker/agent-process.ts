/** The agent's own process, as another process can know it again. */
import { readFileSync } from "node:fs";

/** Start time of a process in clock ticks since boot, proc_pid_stat(5) field 22; null where the host does not tell. */
export function startTicksOf(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    // No such process, or a host without /proc.
    return null;
  }
  // The name in field 2 may hold spaces and brackets; the fields after it begin behind the last bracket.
  const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  return Number.isFinite(ticks) ? ticks : null;
}

/** Whether this very process still runs: its pid may meanwhile be another's. */
export function processIsAlive(pid: number, startTicks: number | null): boolean {
  if (startTicks !== null) return startTicksOf(pid) === startTicks;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
