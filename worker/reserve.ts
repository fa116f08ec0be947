/** Room on the disk, taken while there is some and let go when there is none, so that what must be written can be (rule 26). */
import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Taking the last bytes of a disk would make somebody else fail: this many times the reserve must be free first. */
const leastFreeTimes = 2;

export interface Reserve {
  /** Whether the room is taken. */
  readonly held: boolean;
  /** Frees the room; the next write has it. */
  letGo(): void;
  /** Takes the room again if there is enough; tells whether it is held now. */
  take(): boolean;
}

/** A reserve in the file named, of `bytes`; not taken yet unless an earlier agent left it. */
export function reserveIn(file: string, bytes: number): Reserve {
  let held = existsSync(file);
  return {
    get held() {
      return held;
    },
    letGo: () => {
      rmSync(file, { force: true });
      held = false;
    },
    take: () => {
      held ||= taken(file, bytes);
      return held;
    },
  };
}

function taken(file: string, bytes: number): boolean {
  const partial = `${file}.new`;
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    if (bavail * bsize < bytes * leastFreeTimes) return false;
    fill(partial, bytes);
    // Only a whole one has the name: a crash in between leaves no reserve that is none.
    renameSync(partial, file);
    return true;
  } catch (error) {
    rmSync(partial, { force: true });
    if (isNoRoom(error)) return false;
    throw new Error(`cannot keep a reserve in ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** Random bytes, because a file system that compresses or leaves holes would keep no room for zeros. */
function fill(partial: string, bytes: number): void {
  const handle = openSync(partial, "w", 0o600);
  try {
    writeFileSync(handle, randomFillSync(Buffer.alloc(bytes)));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function isNoRoom(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}
