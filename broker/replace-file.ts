import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces a file of secrets: whoever reads it at any moment finds the old text or the new one, whole, and only its owner can.
 * Durable when it returns. Throws a sentence that begins with `what`, and leaves nothing behind.
 */
export function replaceFile(what: string, file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`;
  try {
    // A leftover of an earlier crash may have other rights; `wx` makes ours anew with 0600.
    rmSync(fresh, { force: true });
    const handle = openSync(fresh, "wx", 0o600);
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(fresh, file);
    syncFolder(dirname(file));
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new Error(`${what} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** Makes the rename itself durable. Windows has no handle on a folder and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
