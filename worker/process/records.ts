/** The small files by which an attempt is known to every agent that comes after: `started`, `exit`, `term`, `signal`. */
import { closeSync, constants, fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import type { ProcessId } from "../agent/records.ts";
import { isAlive, readStat } from "./proc.ts";

/** What a shim wrote into `started`: its process, its group and its session. */
export interface Started extends ProcessId {
  readonly group: number;
  readonly session: number;
}

export type StartedRecord =
  | { readonly is: "absent" }
  /** Made by an agent: the attempt never runs (rule 23). */
  | { readonly is: "void" }
  /** Made, and not written to its end: its maker is at it, or died. */
  | { readonly is: "incomplete" }
  | { readonly is: "complete"; readonly started: Started; readonly wall: number };

export type ExitRecordRead =
  /** Blanks: not ended while the shim lives (rule 24). */
  | { readonly is: "blank" }
  | { readonly is: "complete"; readonly code: number; readonly wall: number }
  /** The program could not be executed at all; `code` is the shell's. */
  | { readonly is: "norun"; readonly code: number }
  /** There was no room for `started`; the program was not executed. */
  | { readonly is: "noroom" }
  | { readonly is: "unreadable"; readonly why: string };

/** The room that an exit record needs: an id of 36 characters, a code, two words. */
export const blankExit = " ".repeat(64);

/** Who sent the first TERM: the agent, or the watchdog on a deadline. */
export type TermBy = "agent" | "timedOut" | "fenced";

const recordBytes = 256;

/** Reads at most `recordBytes` of a regular file, never through a link: the task could have put one there. */
function readRecord(path: string): { readonly text: string; readonly wall: number } | NodeJS.ErrnoException {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.allocUnsafe(recordBytes);
      const read = readSync(fd, bytes, 0, recordBytes, 0);
      return { text: bytes.toString("latin1", 0, read), wall: Math.round(fstatSync(fd).mtimeMs) };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

export function readStarted(folder: string): StartedRecord {
  const record = readRecord(`${folder}/started`);
  if (record instanceof Error) return { is: record.code === "ENOENT" ? "absent" : "incomplete" };
  const words = record.text.split(/\s+/);
  if (words[0] === "void") return { is: "void" };
  const [pid, startTicks, bootId, group, session, end] = words;
  if (end !== "end" || bootId === undefined) return { is: "incomplete" };
  const started = { pid: Number(pid), startTicks: Number(startTicks), bootId, group: Number(group), session: Number(session) };
  // A group of 0 or 1 would signal ourselves or everybody.
  const sound = [started.pid, started.group].every((n) => Number.isSafeInteger(n) && n > 1);
  return sound ? { is: "complete", started, wall: record.wall } : { is: "incomplete" };
}

/** Makes `started` void, with O_EXCL: true when it is ours, and so the attempt never ran and never will. */
export function makeVoid(folder: string): boolean {
  try {
    writeFileSync(`${folder}/started`, "void end\n", { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // The file is made before it is written: on a full disk it is ours, and empty.
    if (code === "ENOSPC" || code === "EDQUOT") return readStarted(folder).is === "incomplete";
    throw error;
  }
}

export function readExit(folder: string, attempt: string): ExitRecordRead {
  const record = readRecord(`${folder}/exit`);
  if (record instanceof Error)
    return { is: "unreadable", why: `the exit record cannot be read: ${record.code ?? record.message}` };
  const { text } = record;
  // An empty file is no blank: its 64 bytes are its room.
  if (text.trim() === "" && text.length >= blankExit.length) return { is: "blank" };
  const match = /^([A-Za-z0-9_-]+) ([0-9]{1,3}) (?:(norun|noroom) )?end\n/.exec(text);
  if (!match || match[1] !== attempt)
    return { is: "unreadable", why: `the exit record reads ${JSON.stringify(text.trim().slice(0, 60))}` };
  if (match[3] === "noroom") return { is: "noroom" };
  if (match[3] === "norun") return { is: "norun", code: Number(match[2]) };
  return { is: "complete", code: Number(match[2]), wall: record.wall };
}

/** Marks who sends the first TERM. False: somebody did before. `uptimeSeconds` is what the grace is counted from. */
export function markTerm(folder: string, by: TermBy, uptimeSeconds: number): boolean {
  return makeMark(`${folder}/term`, `${by} ${uptimeSeconds} end\n`);
}

/** Who sent the first TERM; undefined: nobody. An unreadable mark was somebody's, so it counts as the agent's. */
export function readTerm(folder: string): TermBy | undefined {
  const record = readRecord(`${folder}/term`);
  if (record instanceof Error) return undefined;
  const by = record.text.split(" ")[0];
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
