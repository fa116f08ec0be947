/** A bound on the number of processes, by the kernel's control groups. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { until } from "./until.ts";

/** Where the pids controller may be: version 1, then version 2. */
const roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];

/** Why there is no such bound here; undefined when there is. */
export function pidsLimitMissing(): string | undefined {
  const made = tryMake(`muster-probe-${process.pid}`, 10);
  if (typeof made === "string") return made;
  rmdirSync(made.folder);
  return undefined;
}

export interface PidsLimit extends AsyncDisposable {
  /** Puts processes that run already under it. */
  take(pids: readonly number[]): void;
  /** From now on it is so many; undefined: as many as there are, so that nobody can fork. */
  allow(most?: number): void;
  /** What a command runs under so that it and all its children count. */
  readonly before: readonly string[];
  /** Processes and threads that are in it now. */
  count(): number;
}

/** Throws a sentence where `pidsLimitMissing` gives one. */
export function makePidsLimit(most: number): PidsLimit {
  const made = tryMake(`muster-${process.pid}`, most);
  if (typeof made === "string") throw new Error(made);
  const { folder } = made;
  const count = (): number => Number(readFileSync(`${folder}/pids.current`, "latin1"));
  return {
    take: (pids) => pids.forEach((pid) => writeFileSync(`${folder}/cgroup.procs`, String(pid))),
    allow: (most) => writeFileSync(`${folder}/pids.max`, String(most ?? count())),
    before: ["sh", "-c", `echo $$ >${folder}/cgroup.procs && exec "$@"`, "sh"],
    count,
    async [Symbol.asyncDispose]() {
      endAll(folder);
      await until("the control group to be empty", () => count() === 0);
      rmdirSync(folder);
    },
  };
}

/** Whoever forks faster than one kills is stopped first: a stopped process makes no room for another. */
function endAll(folder: string): void {
  for (const signal of ["SIGSTOP", "SIGSTOP", "SIGSTOP", "SIGKILL"] as const)
    for (const pid of readFileSync(`${folder}/cgroup.procs`, "latin1").split("\n"))
      if (pid !== "") signalOne(Number(pid), signal);
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

function tryMake(name: string, most: number): { readonly folder: string } | string {
  for (const root of roots) {
    const folder = `${root}/${name}`;
    try {
      mkdirSync(folder);
      if (existsSync(`${folder}/pids.max`)) {
        writeFileSync(`${folder}/pids.max`, String(most));
        return { folder };
      }
      rmdirSync(folder);
    } catch {
      continue;
    }
  }
  return "no control group with a bound on processes (pids.max) can be made here";
}
