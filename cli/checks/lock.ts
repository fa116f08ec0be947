/** Whether a process has a folder's lock, found out without taking it even for a moment. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** True when somebody holds `lock.db` as managers and workers do: by an open `BEGIN EXCLUSIVE`. */
export function isHeld(file: string): boolean {
  if (!existsSync(file)) return false;
  return heldByKernel(file) ?? heldBySqlite(file);
}

/** proc_locks(5): `1: POSIX  ADVISORY  WRITE <pid> <major>:<minor>:<inode> <start> <end>`. Undefined where there is no such file. */
function heldByKernel(file: string): boolean | undefined {
  try {
    const { ino } = statSync(file);
    const locks = readFileSync("/proc/locks", "latin1").split("\n");
    return locks.some((line) => {
      const fields = line.trim().split(/\s+/);
      return fields.includes("WRITE") && fields.some((field) => field.endsWith(`:${ino}`) && field.split(":").length === 3);
    });
  } catch {
    return undefined;
  }
}

/** A reader is let in unless somebody holds it. */
function heldBySqlite(file: string): boolean {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 });
  try {
    database.prepare("PRAGMA schema_version").get();
    return false;
  } catch (error) {
    if ((Number((error as { readonly errcode?: unknown }).errcode) & 0xff) === 5) return true;
    throw error;
  } finally {
    database.close();
  }
}
