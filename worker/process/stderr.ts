import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** A path may have 4096 bytes, and the shell's sentence holds one. */
const tailBytes = 8_192;

/**
 * Why the shell could not execute the program, when the last line of the error output is the shell's: such a line begins with
 * the name of the file that the shell read. Undefined when the program spoke last, or nobody did.
 */
export function shellError(file: string): string | undefined {
  const line = lastLine(file);
  // bash: "./launch: line 9: /x: cannot execute: …"; dash: "launcher.sh: 3: exec: /x: not found", with the launcher's path.
  return /^(?:\.\/launch|\/[^:]*\/launcher\.sh)(?:: exec)?: (?:line )?[0-9]+: (?:exec: )?(.+)$/.exec(line)?.[1];
}

function lastLine(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // No output file: the program's redirections could not be made either.
    return "";
  }
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.allocUnsafe(Math.min(tailBytes, size));
    const read = readSync(fd, bytes, 0, bytes.length, Math.max(0, size - bytes.length));
    return bytes.toString("utf8", 0, read).trimEnd().split("\n").pop() ?? "";
  } finally {
    closeSync(fd);
  }
}
