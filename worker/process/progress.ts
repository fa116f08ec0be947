import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { boundedSentence } from "../../schema/end.ts";

export interface Progress {
  readonly percent: number | null;
  readonly message: string | null;
}

/** Only the file's end counts, so only this much of it is read. */
const tailBytes = 4_096;

/**
 * The newest word of a process about itself: the last complete line of MUSTER_PROGRESS, `percent message` with either part
 * left out (`42 half way`, `42.5%`, `copying`). Undefined when the file is missing, or as it was when `seen` was given back.
 */
export function readProgress(
  file: string,
  seen: string,
): { readonly progress: Progress | undefined; readonly seen: string } | undefined {
  // Missing is the usual case, and an error costs more than a look.
  if (!existsSync(file)) return undefined;
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // A link or an unreadable file is the task's own loss, and progress is only shown.
    return undefined;
  }
  try {
    const stat = fstatSync(fd);
    // Two writes within a tick of the kernel's clock have the same time.
    const now = `${stat.mtimeMs} ${stat.size}`;
    if (!stat.isFile() || now === seen) return undefined;
    const bytes = Buffer.allocUnsafe(Math.min(tailBytes, stat.size));
    const read = readSync(fd, bytes, 0, bytes.length, Math.max(0, stat.size - bytes.length));
    return { progress: parseProgress(bytes.toString("utf8", 0, read)), seen: now };
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** Reads the last line that is complete; a file without any line end is taken as one line. */
export function parseProgress(text: string): Progress | undefined {
  const complete = text.includes("\n") ? text.slice(0, text.lastIndexOf("\n")) : text;
  const line = complete.slice(complete.lastIndexOf("\n") + 1).trim();
  if (line === "") return undefined;
  const match = /^([0-9]{1,3}(?:\.[0-9]+)?)\s*%?(?:\s+(.*))?$/.exec(line);
  const percent = match ? Number(match[1]) : undefined;
  if (percent === undefined || percent > 100) return { percent: null, message: boundedSentence(line) };
  const message = match?.[2] === undefined ? "" : boundedSentence(match[2]);
  return { percent, message: message === "" ? null : message };
}
