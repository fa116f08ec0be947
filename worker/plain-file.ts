/**
 * Files in an attempt's folder lie where its process may put anything in their place. The agent may have more rights than
 * the process, so it follows no link and opens nothing but plain files.
 */
import { constants, lstatSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";

/** Length in bytes; 0 when there is no plain file. */
export function plainFileSize(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() ? stat.size : 0;
}

/** Opens a plain file; undefined when there is none. */
export async function openPlainFile(path: string, mode: "read" | "write"): Promise<FileHandle | undefined> {
  const access = mode === "read" ? constants.O_RDONLY : constants.O_RDWR;
  let file: FileHandle;
  try {
    // Without O_NONBLOCK a fifo in its place would hold the agent up until somebody writes to it.
    file = await open(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ELOOP" || code === "ENXIO") return undefined;
    throw new Error(`cannot open ${path}`, { cause: error });
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}

/** At most `length` bytes from `offset` on; none when there is no plain file or it ends before. */
export async function readPlainFile(path: string, offset: number, length: number): Promise<Buffer<ArrayBuffer>> {
  await using file = await openPlainFile(path, "read");
  if (!file) return Buffer.alloc(0);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
