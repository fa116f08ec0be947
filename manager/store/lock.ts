import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** A lock that the operating system lets go when the process dies, however it dies. */
export interface FolderLock {
  release(): void;
}

/**
 * Locks the folder for this process by an open `BEGIN EXCLUSIVE` on its `lock.db` (rule 18); makes the folder when there is
 * none. Throws a sentence, which ends with the advice, when another process, or this one before, has it. Does not wait.
 */
export function lockFolder(folder: string, advice = "give this one a folder of its own (MUSTER_DATA_DIR)"): FolderLock {
  const path = join(folder, "lock.db");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    const busy = typeof cause === "object" && cause !== null && "errcode" in cause && (Number(cause.errcode) & 0xff) === 5;
    if (!busy)
      throw new Error(`The lock ${path} cannot be taken: ${cause instanceof Error ? cause.message : String(cause)}.`, { cause });
    throw new Error(`Another manager uses the data folder ${folder}. Stop it, or ${advice}.`, { cause });
  }
  return { release: () => database.close() };
}
