/** One agent per data folder: two would write one journal and start everything twice (promise 2). */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isBusy } from "./sqlite-errors.ts";

export interface FolderLock {
  /** Lets the folder go; doing it twice is legal. */
  release(): void;
}

/** A collected database is a closed one: a caller who drops its handle must not lose the folder with it. */
const held = new Set<DatabaseSync>();

/** Another agent holds the folder. */
export class FolderTaken extends Error {
  override readonly name = "FolderTaken";
}

/**
 * Takes the folder, or throws `FolderTaken`. The lock is an open `BEGIN EXCLUSIVE` on `lock.db`: the operating system frees
 * it when the process dies, however it dies, so no stale lock file is ever in the way (rule 18).
 */
export function lockFolder(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, "lock.db");
  const database = new DatabaseSync(file);
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!isBusy(error))
      throw new Error(`cannot lock ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    throw new FolderTaken(
      `another worker runs on ${folder}: stop it, or give this one a data folder of its own (MUSTER_DATA_DIR)`,
      { cause: error },
    );
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      if (database.isOpen) database.close();
    },
  };
}
