/**
 * Folders of ended attempts, emptied and kept for others: to make and to unlink the seven files of each run costs a file
 * system many times what renaming a folder does (decision 011).
 */
import {
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  constants,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeSync,
  type Stats,
} from "node:fs";
import { processLimits } from "./limits.ts";
import { voidLaunchFile } from "./launch-file.ts";
import { blankExit, unclaimed } from "./records.ts";

export interface Spares {
  /** The path of a folder that is like new but for its name. */
  take(): string | undefined;
  /**
   * Takes over the folder of an attempt of which nothing can be alive; false when it is not fit, or enough are kept. Then it
   * is for the caller to remove. `newOutputs`: somebody else may hold its output files.
   */
  keep(folder: string, newOutputs: boolean): boolean;
  discard(folder: string): void;
}

/** Folders that an earlier agent kept are removed: nobody knows how far it came with them. */
export function openSpares(folder: string): Spares {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  const free: string[] = [];
  let made = 0;
  return {
    take: () => free.pop(),
    keep: (used, newOutputs) => {
      if (free.length >= processLimits.spareFolders) return false;
      const spare = used.startsWith(`${folder}/`) ? used : `${folder}/${made++}`;
      try {
        if (!emptied(used, newOutputs)) return false;
        if (spare !== used) renameSync(used, spare);
      } catch {
        // A file of it is not what it was made as: its process was free to do that.
        return false;
      }
      free.push(spare);
      return true;
    },
    discard: (spare) => rmSync(spare, { recursive: true, force: true }),
  };
}

/** Makes it as it was before its first attempt. False, or an error, when its process left more than plain output. */
function emptied(folder: string, newOutputs: boolean): boolean {
  // First of all: a launch line that was told twice may still wait in a fifo, and as soon as `started` is blank its shim
  // could claim the attempt anew (rule 23).
  voidLaunchFile(`${folder}/launch`);
  const uid = process.getuid?.() ?? 0;
  const own = (stat: Stats, mode: number): boolean => stat.uid === uid && (stat.mode & 0o7777) === mode;
  if (!own(lstatSync(folder), 0o700)) return false;
  // A new one, though it is empty: it may be the working directory of somebody whom the attempt asked for something.
  rmdirSync(`${folder}/work`);
  mkdirSync(`${folder}/work`, { mode: 0o700 });
  for (const name of readdirSync(folder)) {
    if (name === "work") continue;
    const path = `${folder}/${name}`;
    const stat = lstatSync(path);
    if (!stat.isFile() || stat.nlink !== 1 || stat.uid !== uid) {
      return false;
    } else if (records.has(name)) {
      if (!own(stat, 0o600)) return false;
    } else if (newOutputs || !outputs.has(name) || stat.size > 0 || !own(stat, 0o644)) {
      // What was written is not written over: a file that is new costs less than one that is cut to nothing.
      unlinkSync(path);
    }
  }
  rewrite(`${folder}/started`, unclaimed);
  rewrite(`${folder}/exit`, blankExit);
  return true;
}

const records: ReadonlySet<string> = new Set(["exit", "launch", "started"]);
const outputs: ReadonlySet<string> = new Set(["stdout", "stderr"]);

/** Never to nothing in between: ext4 takes that for a replaced file, and flushes it to the disk when it is closed. */
function rewrite(path: string, text: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    writeSync(file, text, 0, "latin1");
    ftruncateSync(file, text.length);
  } finally {
    closeSync(file);
  }
}
