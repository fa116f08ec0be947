import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Pids of this host whose environment, command line or working directory mentions `mark` (a test's own temporary folder). */
export function pidsThatMention(mark: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && mentions(pid, mark));
}

function mentions(pid: number, mark: string): boolean {
  const looks = [
    () => readFileSync(`/proc/${pid}/environ`, "latin1"),
    () => readFileSync(`/proc/${pid}/cmdline`, "latin1"),
    () => readlinkSync(`/proc/${pid}/cwd`),
  ];
  return looks.some((look) => {
    try {
      return look().includes(mark);
    } catch {
      return false; // It ended meanwhile, or is the kernel's own.
    }
  });
}

/** Kills them all; for the end of a test, when nothing of it may stay behind. */
export function sweep(mark: string): void {
  for (let round = 0; round < 5; round += 1) {
    const pids = pidsThatMention(mark);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended meanwhile.
      }
    }
  }
}
