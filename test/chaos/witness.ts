/** What the started processes write down of themselves, in a file outside of Muster. */
import { readFileSync } from "node:fs";

/**
 * A script for sh that writes a line when it starts and another when it ends, around `script`, whose exit code it has. Each line
 * is one write to a file that was opened to append, so lines of processes that write at once stay whole and in order.
 */
export function witnessedScript(file: string, script: string): string {
  const line = (what: string): string => `printf '%s\\n' "$MUSTER_RUN_ID $MUSTER_ATTEMPT $$ ${what}" >> '${file}'`;
  return `${line("start")}\n(\n${script}\n)\ncode=$?\n${line("end $code")}\nexit $code`;
}

/** The run that a process of this system's workers belongs to. */
export function runOf(pid: number, folder: string): string | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    if (!environment.some((one) => one.startsWith(`MUSTER_RESULT=${folder}/`))) return undefined;
    return environment.find((one) => one.startsWith("MUSTER_RUN_ID="))?.slice("MUSTER_RUN_ID=".length);
  } catch {
    return undefined; // It ended meanwhile.
  }
}
