/** The data folder of this host: is it there, whose is it, and is there room. */
import { existsSync, statfsSync, statSync } from "node:fs";
import { doctorLimits } from "../../schema/limits/doctor.ts";
import { fail, pass, warn, type Check, type Finding } from "./finding.ts";

export function folderCheck(dataDir: string): Check {
  return {
    name: "folder",
    run: async () => (existsSync(dataDir) ? [modeOf(dataDir), roomIn("disk", dataDir)] : [missing(dataDir)]),
  };
}

function missing(dataDir: string): Finding {
  return fail("folder", `there is no data folder ${dataDir}`, "Name the one that is used: MUSTER_DATA_DIR, or --data-dir.");
}

function modeOf(dataDir: string): Finding {
  const { mode } = statSync(dataDir);
  // Search permission alone lets tasks that run as other users reach their folders.
  if ((mode & 0o066) === 0) return pass("folder", `the data folder ${dataDir} is its owner's alone`);
  return warn(
    "folder",
    `others may read or write the data folder ${dataDir} (mode ${(mode & 0o777).toString(8)}), which holds credentials and journals`,
    `chmod go-rw ${dataDir}`,
  );
}

/** Free space of the folder's file system, for those who are not root. */
export function roomIn(name: string, folder: string): Finding {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const sentence = `${mebibytes(free)} MiB are free at ${folder}`;
  if (free < doctorLimits.diskFailBytes)
    return fail(
      name,
      sentence,
      "Free some room: without it starts are refused, and requests that change something are answered 503.",
    );
  if (free < doctorLimits.diskWarnBytes) return warn(name, sentence, "Watch it: ended runs, events and output are kept there.");
  return pass(name, sentence);
}

export function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1_048_576);
}
