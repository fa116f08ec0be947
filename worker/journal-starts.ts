/**
 * The count of agent starts beside the journal, in a place on the disk that is overwritten and never grows: on a full disk
 * the journal itself cannot count, and an agent that has not counted its start durably may not say its epoch (rule 1).
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { BrokenSeal, openRow, sealRow } from "./journal-rows.ts";
import { isFull } from "./sqlite-errors.ts";

/** Two places in turn, each in a sector of its own: a count that a power cut tore leaves the one before it. */
const placeBytes = 4_096;
const places = 2;

/** The highest start of this journal that was counted in the file; 0 when there is none. */
export function startsIn(file: string, journal: string): number {
  const bytes = Buffer.alloc(placeBytes * places);
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw new Error(`cannot read ${file}`, { cause: error });
  }
  try {
    readSync(handle, bytes, 0, bytes.length, 0);
  } finally {
    closeSync(handle);
  }
  return Math.max(
    ...Array.from({ length: places }, (_, at) => countIn(bytes.subarray(at * placeBytes, (at + 1) * placeBytes), journal)),
  );
}

/** Writes the count in its place and forces it to the disk. False: the file is not whole, or the disk has no room even for that. */
export function countInPlace(file: string, journal: string, n: number): boolean {
  let handle: number;
  try {
    handle = openSync(file, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  try {
    if (fstatSync(handle).size < placeBytes * places) return false;
    writeSync(handle, placeOf(journal, n), 0, placeBytes, (n % places) * placeBytes);
    fsyncSync(handle);
    return true;
  } catch (error) {
    // A file system that writes elsewhere instead of in place may need room.
    if (isFull(error)) return false;
    throw error;
  } finally {
    closeSync(handle);
  }
}

/** Makes sure of the room for the next count, while there is some. */
export function keepStarts(file: string, journal: string, n: number): void {
  if (countInPlace(file, journal, n)) return;
  const partial = `${file}.new`;
  try {
    const handle = openSync(partial, "w", 0o600);
    try {
      for (let at = 0; at < places; at += 1) writeSync(handle, placeOf(journal, n), 0, placeBytes, at * placeBytes);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    if (!isFull(error)) throw error;
  }
}

function placeOf(journal: string, n: number): Buffer {
  return Buffer.from(`${sealRow(journal, JSON.stringify({ journal, n }))}\n`.padEnd(placeBytes, "."));
}

/** The count in one place; 0 when it is torn, or of another journal. */
function countIn(place: Buffer, journal: string): number {
  const [line = ""] = place.toString("latin1").split("\n", 1);
  if (!line.includes('"sum":')) return 0;
  try {
    const read = JSON.parse(openRow(journal, line)) as { readonly journal?: unknown; readonly n?: unknown };
    return read.journal === journal && Number.isSafeInteger(read.n) ? (read.n as number) : 0;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof BrokenSeal) return 0;
    throw error;
  }
}
