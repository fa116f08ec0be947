import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

const shellsWord =
  /^(?:\/[^:]*\/launcher\.sh|\.\/launch)(?:: \.\/launch)?(?:: exec)?: (?:line )?[0-9]+: (?:\.\/launch: )?(?:exec: )?(.+)$/;

/** A path may have 4096 bytes, and the shell's sentence holds one. */
const tailBytes = 8_192;

/**
 * Why the shell could not execute the program, when the last line of the error output is the shell's: such a line begins with
 * the name of the file that the shell read. Undefined when the program spoke last, or nobody did.
 */
export function shellError(file: string): string | undefined {
  const line = lastLine(file);
  // bash: "./launch: line 9: /x: cannot execute: …"; dash: "launcher.sh: 3: ./launch: /x: not found"; busybox: "launcher.sh:
  // ./launch: line 3: /x: not found"; the launcher with its path, and `exec` where the command was one.
  return shellsWord.exec(line)?.[1];
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
