/** Processes of this host, by number and start time: a number alone may be somebody else's by now. */
import { readFileSync, readdirSync } from "node:fs";
import { parseStat } from "../../../worker/process/proc.ts";

/** In a script for sh: appends `<word> <pid> <start time>` of its own shell to the file. */
export const sign = (word: string, file: string): string =>
  `read -r stat <"/proc/$$/stat"; set -- \${stat##*) }; echo "${word} $$ \${20}" >>${file}`;

/** Those lines of `sign` whose process still lives; a zombie does not. */
export function living(lines: readonly string[]): string[] {
  return lines.filter((line) => {
    const [, pid, startTicks] = line.split(" ");
    const stat = statOf(Number(pid));
    return stat !== undefined && stat.startTicks === Number(startTicks) && !/[ZX]/.test(stat.state);
  });
}

/** Zombies of this host whose parent is one of ours. */
export function zombies(isOurs: (parent: number) => boolean): number {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat?.state === "Z" && isOurs(stat.parent)).length;
}

/** Resident memory of a process, in bytes; 0 when it is gone. */
export function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}

function statOf(pid: number): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}
