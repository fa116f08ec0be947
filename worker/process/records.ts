/** The small files by which an attempt is known to every agent that comes after: `started`, `exit`, `term`, `signal`. */
import { appendFileSync, closeSync, constants, fstatSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { ProcessId } from "../agent/records.ts";
import { voidLaunchFile } from "./launch-file.ts";
import { isAlive, readStat } from "./proc.ts";

/** What a shim wrote into `started`: its process, its group and its session. */
export interface Started extends ProcessId {
  readonly group: number;
  readonly session: number;
}

export type StartedRecord =
  /** Nobody has claimed the attempt. */
  | { readonly is: "absent" }
  /** Claimed by an agent: the attempt never runs (rule 23). */
  | { readonly is: "void" }
  /** Not a whole claim: its maker is at it, or died. */
  | { readonly is: "incomplete" }
  | { readonly is: "complete"; readonly started: Started; readonly wall: number };

export type ExitRecordRead =
  /** Blanks: not ended while the shim lives (rule 24). */
  | { readonly is: "blank" }
  | { readonly is: "complete"; readonly code: number; readonly wall: number }
  /** The program could not be executed at all; `code` is the shell's. */
  | { readonly is: "norun"; readonly code: number }
  | { readonly is: "unreadable"; readonly why: string };

/** The room that an exit record needs: an id of 36 characters, a code, two words. */
export const blankExit = " ".repeat(64);

/** Who sent the first TERM: the agent, or the watchdog on a deadline. */
export type TermBy = "agent" | "timedOut" | "fenced";

/** Room for several claims. */
const recordBytes = 1_024;

const recordBuffer = Buffer.allocUnsafe(recordBytes);

/** Reads at most `recordBytes` of a regular file, never through a link: the task could have put one there. */
function readRecord(path: string): { readonly text: string; readonly wall: number } | NodeJS.ErrnoException {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const read = readSync(fd, recordBuffer, 0, recordBytes, 0);
      return { text: recordBuffer.toString("latin1", 0, read), wall: Math.round(fstatSync(fd).mtimeMs) };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

/**
 * What `started` says of the attempt. Claims are lines that are only ever appended: the first one of the attempt decides,
 * which is what O_EXCL would be, without making an inode (decision 011). Shims write "<attempt> <pid> <start time> <boot id>
 * <group> <session> end", agents "<attempt> void end"; earlier builds made the file with O_EXCL and left out the first word.
 */
export function readStarted(folder: string, attempt: string): StartedRecord {
  const record = readRecord(`${folder}/started`);
  if (record instanceof Error) return { is: record.code === "ENOENT" ? "absent" : "incomplete" };
  if (record.text === unclaimed) return { is: "absent" };
  for (const line of record.text.split("\n")) {
    const words = line.split(" ");
    const old = words.length === 6 || (words.length === 2 && words[0] === "void");
    if (words.at(-1) !== "end" || (words[0] !== attempt && !old)) continue;
    const claim = old ? words : words.slice(1);
    if (claim[0] === "void") return { is: "void" };
    if (claim.length === 6) return startedBy(claim, record.wall);
  }
  return { is: "incomplete" };
}

function startedBy([pid, startTicks, bootId, group, session]: readonly string[], wall: number): StartedRecord {
  const started = {
    pid: Number(pid),
    startTicks: Number(startTicks),
    bootId: bootId ?? "",
    group: Number(group),
    session: Number(session),
  };
  // A group of 0 or 1 would signal ourselves or everybody.
  const sound = [started.pid, started.group].every((n) => Number.isSafeInteger(n) && n > 1);
  return sound ? { is: "complete", started, wall } : { is: "incomplete" };
}

/** `started` before anybody has claimed the attempt: not empty, so that its block is on the disk already. */
export const unclaimed = "\n";

/**
 * Claims the attempt for nobody: true when that is the first claim, and so it never ran and never will. A file that is there
 * and empty has a maker who is about to write (a shim of an earlier build), and is left to him.
 */
export function makeVoid(folder: string, attempt: string): boolean {
  // The file's time is the claim's: a line behind one that decides already would change it.
  const { is } = readStarted(folder, attempt);
  if (is === "complete" || is === "void") return is === "void";
  if (statSync(`${folder}/started`, { throwIfNoEntry: false })?.size === 0) return false;
  return claimVoid(folder, attempt);
}

/** The same, for a file of which no maker lives. */
export function claimVoid(folder: string, attempt: string): boolean {
  try {
    // A line of its own also behind a claim that was cut short.
    appendFileSync(`${folder}/started`, `\n${attempt} void end\n`, { mode: 0o600 });
    return readStarted(folder, attempt).is === "void";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    // There may be room for the line of a shim that stalled, a moment later: it finds nothing to start then.
    launchNothing(folder);
    return readStarted(folder, attempt).is !== "complete";
  }
}

function launchNothing(folder: string): void {
  try {
    voidLaunchFile(`${folder}/launch`);
  } catch {
    rmSync(`${folder}/launch`, { force: true });
  }
}

export function readExit(folder: string, attempt: string): ExitRecordRead {
  const record = readRecord(`${folder}/exit`);
  if (record instanceof Error)
    return { is: "unreadable", why: `the exit record cannot be read: ${record.code ?? record.message}` };
  const { text } = record;
  // An empty file is no blank: its 64 bytes are its room.
  if (text.trim() === "" && text.length >= blankExit.length) return { is: "blank" };
  const match = /^([A-Za-z0-9_-]+) ([0-9]{1,3}) (?:(norun) )?end\n/.exec(text);
  if (!match || match[1] !== attempt)
    return { is: "unreadable", why: `the exit record reads ${JSON.stringify(text.trim().slice(0, 60))}` };
  if (match[3] !== undefined) return { is: "norun", code: Number(match[2]) };
  return { is: "complete", code: Number(match[2]), wall: record.wall };
}

/** Marks who sends the first TERM. False: somebody did before. `uptimeSeconds` is what the grace is counted from. */
export function markTerm(folder: string, by: TermBy, uptimeSeconds: number): boolean {
  return makeMark(`${folder}/term`, `${by} ${uptimeSeconds} end\n`);
}

/**
 * Takes the place of the first TERM for nobody, once the attempt has ended: the watchdog, which marks before it signals, sends
 * none any more. False when somebody sent one before, or it cannot be known.
 */
export function markOver(folder: string): boolean {
  try {
    writeFileSync(`${folder}/term`, "over 0 end\n", { flag: "wx", mode: 0o600 });
    return true;
  } catch {
    return false;
  }
}

/** Who sent the first TERM; undefined: nobody. An unreadable mark was somebody's, so it counts as the agent's. */
export function readTerm(folder: string): TermBy | undefined {
  const record = readRecord(`${folder}/term`);
  if (record instanceof Error) return undefined;
  const by = record.text.split(" ")[0];
  if (by === "over") return undefined;
  return by === "timedOut" || by === "fenced" ? by : "agent";
}

/** Notes a signal that was asked for: only then may the end be called signalled (rule 24). */
export function markSignal(folder: string, signal: string): void {
  makeMark(`${folder}/signal-${signal}`, "");
}

export function hasSignalMark(folder: string, signal: string): boolean {
  return !(readRecord(`${folder}/signal-${signal}`) instanceof Error);
}

function makeMark(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // Without room, or in a folder that somebody removed, the signal matters more than its mark.
    return code === "ENOSPC" || code === "EDQUOT" || code === "ENOENT" || code === "EROFS";
  }
}

/** Whether the shim lives: boot id, pid and start time agree, or it is somebody else's pid by now (rule 25). */
export function shimAlive(started: Started, bootId: string): boolean {
  if (started.bootId !== bootId) return false;
  const stat = readStat(started.pid);
  return isAlive(stat) && stat.startTicks === started.startTicks;
}
