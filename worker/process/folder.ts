/** The folder of an attempt: what lies in it before the launcher is told. */
import { chmodSync, chownSync, mkdirSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { checkFolder, checkProgram, type CannotStart } from "./check.ts";
import type { BaseEnvironment } from "./environment.ts";
import type { LaunchOrder } from "./host.ts";
import { fillLaunchFile, newLaunchFile, unfit, type LaunchText } from "./launch-file.ts";
import type { LaunchStyle } from "./launcher.ts";
import { blankExit, unclaimed } from "./records.ts";
import type { Spares } from "./spares.ts";
import { findUser, switchTo, type Who } from "./who.ts";

/** Names in the attempt's folder that are the host's own: no file of a driver may have one. */
const ownNames = new Set(["exit", "launch", "progress", "result", "started", "stderr", "stdin", "stdout", "term", "work"]);

/** It is not launched: `refused` when another worker may have better luck (room), `failedToStart` when the task is at fault. */
export interface NotPrepared extends CannotStart {
  readonly how: "failedToStart" | "refused";
}

export interface FolderOptions {
  readonly base: BaseEnvironment;
  readonly own: Who;
  readonly diskReserveBytes: number;
  readonly style: LaunchStyle;
  readonly spares: Spares;
}

/** The environment's name and value by which the attempt's processes are found, up to the attempt's id. */
export function tagPrefix(attemptsFolder: string): string {
  return `MUSTER_RESULT=${attemptsFolder}/`;
}

/** Rule 26: whether there is room for one more attempt; a sentence when there is not. */
export function checkRoom(folder: string, reserveBytes: number): NotPrepared | undefined {
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= reserveBytes) return undefined;
  const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;
  return {
    how: "refused",
    why: `the worker's disk has ${mib(freeBytes)} free at ${folder}, and ${mib(reserveBytes)} are kept in reserve`,
  };
}

/**
 * Makes the attempt's folder with all that its shim needs: `started`, which nobody has claimed yet, `exit` as 64 blanks, its
 * room on disk (rule 24), the driver's files, standard input, and `launch`. A folder that another attempt has left is filled
 * under a name that no shim knows, and gets its own last. What can be known to fail is said instead. Throws what the file
 * system says.
 */
export function prepareFolder(folder: string, order: LaunchOrder, options: FolderOptions): NotPrepared | undefined {
  const who = order.user === null ? options.own : findUser(order.user, options.own);
  if ("why" in who) return failed(who);
  const prefix = switchTo(who);
  if ("why" in prefix) return failed(prefix);
  const alien = order.launch.files.find(
    ({ name }) => ownNames.has(name) || !/^[^/\0]{1,255}$/.test(name) || /^\.{1,2}$|^signal-/.test(name),
  );
  if (alien)
    return failed({
      why: `the driver wants to write a file named ${JSON.stringify(alien.name)}, and that name is not free in an attempt's folder`,
    });

  // Another user's folder gets other rights, and a driver's file is named by its place in the attempt's own.
  const spare = who.own && order.launch.files.length === 0 ? options.spares.take() : undefined;
  if (spare === undefined) makeFolder(folder);
  try {
    const not = fill(spare ?? folder, folder, order, { who, prefix, options });
    if (not || spare === undefined) return not;
    renameSync(spare, folder);
    return undefined;
  } catch (error) {
    if (spare !== undefined) options.spares.discard(spare);
    throw error;
  }
}

function makeFolder(folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  mkdirSync(`${folder}/work`, { mode: 0o700 });
  writeFileSync(`${folder}/started`, unclaimed, { mode: 0o600 });
  writeFileSync(`${folder}/exit`, blankExit, { mode: 0o600 });
  newLaunchFile(`${folder}/launch`);
}

/** Fills the folder that is at `at` now and will be at `folder`. */
function fill(
  at: string,
  folder: string,
  order: LaunchOrder,
  { who, prefix, options }: { readonly who: Who; readonly prefix: readonly string[]; readonly options: FolderOptions },
): NotPrepared | undefined {
  for (const { name, bytes, executable } of order.launch.files) {
    writeFileSync(`${at}/${name}`, bytes, { mode: executable ? 0o700 : 0o600, flag: "wx" });
  }
  if (order.stdin !== null) writeFileSync(`${at}/stdin`, order.stdin, { mode: 0o600 });
  if (!who.own) handOver(at, order, who);

  const workingDirectory = order.workingDirectory ?? `${folder}/work`;
  const env = environmentOf(folder, order, who, options.base);
  // Its own is there: it was just made, or looked at when it was kept.
  const barred = order.workingDirectory === null && who.own ? undefined : checkFolder(workingDirectory, who);
  const program = barred ?? checkProgram(order.launch.program, { path: env["PATH"] ?? "", workingDirectory }, who);
  const text: LaunchText | CannotStart =
    typeof program === "string"
      ? {
          attempt: order.attempt,
          program,
          args: order.launch.args,
          env,
          workingDirectory,
          stdin: order.stdin === null ? "/dev/null" : `${folder}/stdin`,
          stdout: `${folder}/stdout`,
          stderr: `${folder}/stderr`,
          prefix,
        }
      : program;
  const why = "why" in text ? text.why : unfit(text);
  if (why === undefined) fillLaunchFile(`${at}/launch`, text as LaunchText, options.style);
  else if (at !== folder) options.spares.keep(at, false);
  return why === undefined ? undefined : failed({ why });
}

function failed({ why }: CannotStart): NotPrepared {
  return { how: "failedToStart", why };
}

/** PATH, HOME, LANG and TZ, over them the driver's, over them the task's and the agent's names; nothing else. */
function environmentOf(folder: string, order: LaunchOrder, who: Who, base: BaseEnvironment): Record<string, string> {
  const own = who.own ? base : { ...base, HOME: who.home };
  return { ...own, ...order.launch.env, ...order.env, MUSTER_RESULT: `${folder}/result`, MUSTER_PROGRESS: `${folder}/progress` };
}

/** Lets another user reach what it needs, and nothing more: records, environment and output stay the agent's. */
function handOver(folder: string, order: LaunchOrder, who: Who): void {
  chmodSync(folder, 0o711);
  for (const name of ["result", "progress"]) writeFileSync(`${folder}/${name}`, "", { mode: 0o600 });
  for (const name of ["work", "result", "progress", ...order.launch.files.map((file) => file.name)])
    chownSync(`${folder}/${name}`, who.uid, who.gid);
}
