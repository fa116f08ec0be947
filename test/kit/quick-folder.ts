import { accessSync, constants, statfsSync } from "node:fs";
import { tmpdir } from "node:os";

/**
 * A folder for what is synced again and again: memory where there is enough, else the disk. A busy disk takes a second for a sync, and
 * what the crash of a process leaves behind is the same.
 */
export function quickFolder(): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    accessSync("/dev/shm", constants.W_OK);
    return bavail * bsize >= 2 ** 30 ? "/dev/shm" : tmpdir();
  } catch {
    return tmpdir();
  }
}
