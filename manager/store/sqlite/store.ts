import { dirname } from "node:path";
import { codecsOf } from "../codecs.ts";
import { lockFolder, type FolderLock } from "../lock.ts";
import { realPath } from "../real-path.ts";
import { migrationsOf, migrationsToApply, type Applied } from "../migrations.ts";
import { sqliteBodies } from "./bodies.ts";
import { openSqliteFile, type SqliteFile } from "./file.ts";
import { isMalformed, storeErrorOf } from "./errors.ts";
import { sqliteLeader } from "./leader.ts";
import { sqliteReads } from "./reads.ts";
import { sqliteSessions } from "./sessions.ts";
import type { Store } from "../store.ts";
import * as tables from "../tables/sqlite.ts";

export interface SqliteOptions {
  /** The database's file, or `:memory:` for one that ends with the process. */
  readonly file: string;
  /** How long a statement waits for another process that writes to the file (a backup, an operator's shell). */
  readonly busyMs?: number;
  /** Told of each migration that was applied. */
  readonly onMigrated?: (name: string) => void;
}

const oneManager =
  "give this one a database of its own (MUSTER_DATA_DIR, or MUSTER_DATABASE_URL): SQLite serves one manager, MariaDB several";

/**
 * Opens the database, makes its tables or brings them up to date, and leads: `lock.db` beside the file is held until the
 * store is disposed of. Rejects with a sentence when another process has it, when the data is of a newer release, or when
 * the file is no database.
 */
export async function openSqliteStore(given: SqliteOptions): Promise<Store> {
  // Under whatever name two managers come to one file: the lock lies beside the file itself.
  const options = given.file === ":memory:" ? given : { ...given, file: realPath(given.file) };
  const lock = options.file === ":memory:" ? undefined : lockFolder(dirname(options.file), oneManager);
  try {
    const file = openSqliteFile(options.file, options.busyMs ?? 250);
    try {
      return storeOver(file, lock, options);
    } catch (error) {
      file.close();
      throw error;
    }
  } catch (cause) {
    lock?.release();
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = isMalformed(cause) ? `. Put a backup of ${options.file} back, or move it away to begin with nothing.` : "";
    throw new Error(`The database ${options.file} cannot be opened. ${why}${hint}`, { cause });
  }
}

function storeOver(file: SqliteFile, lock: FolderLock | undefined, options: SqliteOptions): Store {
  // Rule 21: what is committed survives a power cut only with both. The log is cut back after large transactions.
  file.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864");
  file.exec("PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY");
  // The log is written back into the file when it has 16 MB, a quarter as often as by default: it takes two fsyncs and holds
  // up whoever waits for a commit, and the pages that every commit writes are then written back once for many of them.
  file.exec("PRAGMA wal_autocheckpoint = 4000");
  migrate(file, options.onMigrated);
  const codecs = codecsOf(tables);
  let open = true;
  return {
    ...sqliteReads(file, codecs),
    ...sqliteLeader(file, codecs),
    ...sqliteBodies(file),
    ...sqliteSessions(file),
    check: async () => check(file, options.file),
    [Symbol.asyncDispose]: async () => {
      if (!open) return;
      open = false;
      file.close();
      lock?.release();
    },
  };
}

/** Applies what is missing, each migration in a transaction of its own; the folder's lock keeps a second manager out. */
function migrate(file: SqliteFile, onMigrated: SqliteOptions["onMigrated"]): void {
  file.exec("CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID");
  const applied: Applied[] = file
    .all("SELECT `name`, `sha256` FROM `migrations` ORDER BY `name`", [])
    .map((row) => ({ name: String(row[0]), sha256: String(row[1]) }));
  for (const migration of migrationsToApply(migrationsOf("sqlite"), applied)) {
    file.transaction(() => {
      file.exec(migration.text);
      file.run("INSERT INTO `migrations` (`name`, `sha256`) VALUES (?, ?)", [migration.name, migration.sha256]);
      return true;
    });
    onMigrated?.(migration.name);
  }
}

type Check = Awaited<ReturnType<Store["check"]>>[number];

function check(file: SqliteFile, path: string): Check[] {
  try {
    const setting = (name: string): unknown => file.get(`PRAGMA ${name}`, [])?.[0];
    const mode = setting("journal_mode");
    // SQLite's number for FULL. A database in memory has no log.
    const durable = setting("synchronous") === 2 && (mode === "wal" || path === ":memory:");
    return [
      { name: "database", ok: true, sentence: `SQLite answers from ${path}.` },
      {
        name: "durability",
        ok: durable,
        sentence: durable
          ? "What is committed survives a power cut (WAL, synchronous=FULL)."
          : `Commits may be lost at a power cut: journal_mode is ${String(mode)}.`,
      },
    ];
  } catch (error) {
    const reason = storeErrorOf(error);
    return [{ name: "database", ok: false, sentence: reason instanceof Error ? reason.message : String(reason) }];
  }
}
