/**
 * Output of attempts in files: `ab/cd/<attempt>/stdout.bytes` holds exactly the bytes that are kept, `stdout.gaps` says
 * where some are missing. The length of the one and the sum of the other are the stream's end, so there is nothing that a
 * kill could leave out of step: a piece that was cut short is simply a shorter stream, and the worker sends again from there.
 */
import { constants } from "node:fs";
import { mkdir, open, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../../schema/digest.ts";
import { id } from "../../schema/ids.ts";
import { workerLimits } from "../../schema/limits.ts";
import { storeLimits } from "../../schema/limits/store.ts";
import { readGaps, writeGaps } from "./gap-file.ts";
import { endOf, remainder, stretches, withGap, withinGaps, type Gap } from "./gaps.ts";
import type { LogPiece, LogStore, LogStream } from "./logstore.ts";
import { StoreError } from "./store.ts";
import { Turns } from "./turns.ts";

export interface FolderLogsOptions {
  /** Bytes of one stream that are kept; what comes after becomes a gap and is acknowledged all the same. */
  readonly streamBytes?: number;
}

interface Paths {
  readonly folder: string;
  readonly bytes: string;
  readonly gaps: string;
}

/** Opens the store on a folder, which is made when the first piece comes. */
export function openFolderLogs(root: string, options: FolderLogsOptions = {}): LogStore {
  const streamBytes = options.streamBytes ?? workerLimits.logStreamBytes;
  const turns = new Turns();
  const inTurn = <T>(attemptId: string, work: () => Promise<T>): Promise<T> => turns.take(attemptId, () => asStoreError(work));
  return {
    append: (attemptId, stream, piece) => inTurn(attemptId, () => append(pathsOf(root, attemptId, stream), piece, streamBytes)),
    read: (attemptId, stream, from, limit) => inTurn(attemptId, () => read(pathsOf(root, attemptId, stream), from, limit)),
    remove: (attemptId) =>
      inTurn(attemptId, () => rm(pathsOf(root, attemptId, "stdout").folder, { recursive: true, force: true })),
  };
}

/** Two levels by a hash, so that no folder holds millions, and so that ids that differ in case alone do not meet on disks that ignore it. */
function pathsOf(root: string, attemptId: string, stream: LogStream): Paths {
  if (!id.safeParse(attemptId).success)
    throw new StoreError("permanent", true, `${JSON.stringify(attemptId.slice(0, 100))} is no attempt id.`);
  const hash = sha256Hex(attemptId);
  const folder = join(root, hash.slice(0, 2), hash.slice(2, 4), attemptId);
  return { folder, bytes: join(folder, `${stream}.bytes`), gaps: join(folder, `${stream}.gaps`) };
}

async function append(paths: Paths, piece: LogPiece, streamBytes: number): Promise<number> {
  await mkdir(paths.folder, { recursive: true, mode: 0o700 });
  await using file = await open(paths.bytes, constants.O_WRONLY | constants.O_CREAT, 0o600);
  const kept = (await file.stat()).size;
  const { gaps, mended } = await readGaps(paths.gaps, kept);
  if (mended) await writeGaps(paths.gaps, gaps);
  const end = endOf(gaps, kept);
  const more = remainder(piece, end);
  if (!more) return end;
  const rest = withinGaps(more, gaps, storeLimits.logGaps);
  if (rest.kind === "gap") return await appendGap(paths, gaps, rest, kept);
  const room = Math.max(0, streamBytes - kept);
  const bytes = rest.bytes.subarray(0, room);
  if (bytes.length > 0) await writeDurably(file, bytes, kept);
  if (bytes.length === rest.bytes.length) return end + bytes.length;
  const why = `only the first ${streamBytes} bytes of a stream are kept`;
  return await appendGap(
    paths,
    gaps,
    { offset: end + bytes.length, length: rest.bytes.length - bytes.length, why },
    kept + bytes.length,
  );
}

/**
 * The worker forgets what this answers, so it has to be on the disk first. Written at its place, not at the end: a manager that stood
 * still since it looked how long the file is writes what another has written there meanwhile once more, and not behind it.
 */
async function writeDurably(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
  await file.datasync();
}

async function appendGap(paths: Paths, gaps: readonly Gap[], gap: Gap, kept: number): Promise<number> {
  const more = withGap(gaps, { offset: gap.offset, length: gap.length, why: gap.why }, storeLimits.logGaps);
  await writeGaps(paths.gaps, more);
  return endOf(more, kept);
}

async function read(paths: Paths, from: number, limit: number): Promise<{ pieces: LogPiece[]; end: number }> {
  const file = await openIfThere(paths.bytes);
  if (!file) return { pieces: [], end: 0 };
  await using opened = file;
  const kept = (await opened.stat()).size;
  const { gaps } = await readGaps(paths.gaps, kept);
  const pieces: LogPiece[] = [];
  for (const stretch of stretches(gaps, kept, from, limit)) {
    if (stretch.kind === "gap") pieces.push(stretch);
    else {
      const { bytesRead, buffer } = await opened.read(Buffer.allocUnsafe(stretch.length), 0, stretch.length, stretch.at);
      pieces.push({ kind: "bytes", offset: stretch.offset, bytes: buffer.subarray(0, bytesRead) });
    }
  }
  return { pieces, end: endOf(gaps, kept) };
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function asStoreError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("transient", true, `The logs cannot be reached: ${reason}`, { cause });
  }
}
