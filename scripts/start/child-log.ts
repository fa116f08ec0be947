/** The log of a child: JSON lines into a file of bounded size, and what a person should see onto the terminal. */
import { createWriteStream, mkdirSync, renameSync, rmSync, statSync, type WriteStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { startLimits } from "./limits.ts";

export interface ChildLog {
  /** Takes a child's standard error until it ends. */
  take(stream: Readable): void;
  close(): void;
}

/** Opens `<folder>/<name>.log`, appending; at `logFileBytes` it becomes `.1`, and so on up to `logFiles`. */
export function openChildLog(folder: string, name: string, say: (line: string) => void): ChildLog {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${name}.log`);
  let bytes = sizeOf(file);
  let out = open(file, say);
  const write = (line: string): void => {
    if (bytes >= startLimits.logFileBytes) {
      out.end();
      rotate(file);
      out = open(file, say);
      bytes = 0;
    }
    bytes += Buffer.byteLength(line) + 1;
    out.write(`${line}\n`);
  };
  return {
    take: (stream) => {
      const lines = createInterface({ input: stream, crlfDelay: Infinity });
      lines.on("line", (line) => {
        write(line);
        const shown = forPeople(line);
        if (shown !== undefined) say(shown);
      });
    },
    close: () => out.end(),
  };
}

function open(file: string, say: (line: string) => void): WriteStream {
  const out = createWriteStream(file, { flags: "a", mode: 0o600 });
  // A full disk must not end the system; the terminal still shows what matters.
  out.on("error", (error) => say(`the log ${file} cannot be written: ${error.message}`));
  return out;
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function rotate(file: string): void {
  rmSync(`${file}.${startLimits.logFiles - 1}`, { force: true });
  for (let n = startLimits.logFiles - 2; n >= 1; n--) {
    if (statSync(`${file}.${n}`, { throwIfNoEntry: false })) renameSync(`${file}.${n}`, `${file}.${n + 1}`);
  }
  if (statSync(file, { throwIfNoEntry: false })) renameSync(file, `${file}.1`);
}

const shownLevels = new Set(["warn", "error", "fatal"]);

/** The line for the terminal: plain lines as they are, JSON lines from `warn` on as a sentence; undefined: nothing. */
export function forPeople(line: string): string | undefined {
  if (!line.startsWith("{")) return line.trim() === "" ? undefined : line;
  let entry: {
    readonly level?: unknown;
    readonly name?: unknown;
    readonly msg?: unknown;
    readonly why?: unknown;
    readonly err?: { readonly message?: unknown };
  };
  try {
    entry = JSON.parse(line) as typeof entry;
  } catch {
    // Half a line of a child that died while writing it.
    return line;
  }
  if (!shownLevels.has(String(entry.level))) return undefined;
  const reasons = [entry.why, entry.err?.message].filter((reason) => typeof reason === "string");
  return [`${String(entry.name)} ${String(entry.level)}`, String(entry.msg), ...reasons].join(": ");
}
