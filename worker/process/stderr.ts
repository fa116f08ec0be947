import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

const tailBytes = 400;

/** The last line of an attempt's error output, without the shell's own name before it; undefined when there is none. */
export function lastErrorLine(file: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // No output file: the program's redirections could not be made either.
    return undefined;
  }
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.allocUnsafe(Math.min(tailBytes, size));
    const read = readSync(fd, bytes, 0, bytes.length, Math.max(0, size - bytes.length));
    const line = bytes.toString("utf8", 0, read).trimEnd().split("\n").pop() ?? "";
    const said = line.replace(/^(?:[^:]*(?:launcher\.sh|launch): )?(?:line )?(?:[0-9]+: )?(?:exec: )?(?:line [0-9]+: )?/, "");
    return said === "" ? undefined : said;
  } finally {
    closeSync(fd);
  }
}
