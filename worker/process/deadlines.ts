/** Deadlines beside the attempts, for a watchdog that outlives the agent (rule 9). */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Deadlines } from "../agent/types.ts";
import type { Launcher } from "./launcher.ts";
import { isAlive, readStat, sendSignal } from "./proc.ts";

/** What watchdog.sh writes into its claim. */
const watchdogVersion = "2";

export interface DeadlineFiles {
  /** Replaces the attempt's deadlines by rename; without any, its file goes. Throws what the file system says. */
  set(attempt: string, deadlines: Deadlines): void;
  drop(attempt: string): void;
  /** Starts the watchdog when there is something to watch and none lives; called with every poll. */
  keepWatched(): void;
}

export function openDeadlines(options: {
  readonly folder: string;
  readonly bootId: string;
  readonly launcher: Launcher;
}): DeadlineFiles {
  const { folder, bootId, launcher } = options;
  // An earlier agent's are still watched.
  const watched = new Set(readdirSync(`${folder}/deadlines`).filter((name) => !name.startsWith(".")));

  const watchdogLives = (): boolean => {
    const [pid, startTicks, born, end, version] = readOrEmpty(`${folder}/watchdog`).split(/\s+/);
    if (end !== "end" || born !== bootId) return false;
    const stat = readStat(Number(pid));
    if (!isAlive(stat) || stat.startTicks !== Number(startTicks)) return false;
    if (version === watchdogVersion) return true;
    // An older Muster's, which cannot read how attempts begin now.
    sendSignal(stat.pid, "SIGKILL");
    return false;
  };
  const keepWatched = (): void => {
    if (watched.size === 0 || watchdogLives()) return;
    // A dead one's claim; a living one of which we read half makes its own claim fail, and the next poll starts another.
    rmSync(`${folder}/watchdog`, { force: true });
    launcher.send(".watchdog\n");
  };
  const drop = (attempt: string): void => {
    if (!watched.delete(attempt)) return;
    rmSync(`${folder}/deadlines/${attempt}`, { force: true });
  };
  return {
    set: (attempt, deadlines) => {
      if (deadlines.timeoutMono === null && deadlines.fenceMono === null) return drop(attempt);
      const file = `${folder}/deadlines/${attempt}`;
      // Hidden until it is whole: the watchdog's `*` passes over names that begin with a dot.
      const half = `${folder}/deadlines/.${attempt}`;
      writeFileSync(half, deadlineLine(bootId, deadlines), { mode: 0o600 });
      renameSync(half, file);
      const first = watched.size === 0;
      watched.add(attempt);
      // After the file is there: a watchdog about to leave looks for files after it gave up its claim.
      if (first) keepWatched();
    },
    drop,
    keepWatched,
  };
}

/** Whole seconds of uptime, rounded up: what the agent does itself is exact, the watchdog is its stand-in. */
export function deadlineLine(bootId: string, { timeoutMono, fenceMono, graceMs }: Deadlines): string {
  const seconds = (ms: number | null): string => (ms === null ? "-" : String(Math.max(0, Math.ceil(ms / 1_000))));
  return `${bootId} ${seconds(timeoutMono)} ${seconds(fenceMono)} ${seconds(graceMs)} end\n`;
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
