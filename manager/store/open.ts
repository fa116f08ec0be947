import { rm } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { Log } from "../../schema/kit/log.ts";
import { credentialsFileIn, credentialsIn, isMariadb, putSignpost, type OpenedCredentials } from "./credentials.ts";
import { openFolderLogs } from "./folder-logs.ts";
import { lockFolder } from "./lock.ts";
import { realPath } from "./real-path.ts";
import type { LogStore } from "./logstore.ts";
import { parseMariadbUrl } from "./mariadb/address.ts";
import { openMemoryStore } from "./memory.ts";
import { byShortWay } from "./short-way.ts";
import { openSqliteStore } from "./sqlite/store.ts";
import type { Store } from "./store.ts";

export interface OpenStoreOptions {
  /** Where the database lies unless the URL says otherwise, and the output of attempts. One manager at a time (rule 18). */
  readonly dataDir: string;
  readonly log: Log;
  /** Credentials of a file instead of those that the database has: a manager that only visits it. */
  readonly credentialsFile?: string | undefined;
}

/** `logs` is where the output of attempts goes; dispose of `store` and all are closed and the folder is free. */
export interface OpenedStore {
  readonly store: Store;
  readonly logs: LogStore;
  /** Who may use the API and the broker: in the data folder, or in a database that several managers share. */
  readonly credentials: OpenedCredentials;
}

/**
 * Opens the store that the URL names: `memory:`, `sqlite:` (a file in the data folder), `sqlite:<path>` (absolute, or from
 * the data folder), `mysql://…` or `mariadb://…`. Rejects with a sentence for any other URL, and when another manager has the
 * folder or the file. A MariaDB that is away is waited for.
 */
export async function openStore(databaseUrl: string, options: OpenStoreOptions): Promise<OpenedStore> {
  const dataDir = resolve(options.dataDir);
  if (isMariadb(databaseUrl)) return await openOnMariadb(databaseUrl, dataDir, options);
  const credentials = credentialsIn(options.credentialsFile ?? credentialsFileIn(dataDir));
  const opened = databaseUrl === "memory:" ? await openInMemory(dataDir) : await openOnSqlite(databaseUrl, dataDir, options.log);
  putSignpost(dataDir, null);
  return { ...opened, credentials };
}

type WithoutCredentials = Omit<OpenedStore, "credentials">;

async function openOnSqlite(databaseUrl: string, dataDir: string, log: Log): Promise<WithoutCredentials> {
  const logs = openFolderLogs(join(dataDir, "logs"));
  const file = realPath(sqliteFileOf(databaseUrl, dataDir));
  const onMigrated = (migration: string): void => log.info({ migration, file }, "the database was brought up to date");
  // The file's own folder is locked by opening it; the logs are the data folder's.
  if (dirname(file) === realPath(dataDir)) return { store: await openSqliteStore({ file, onMigrated }), logs };
  const lock = lockFolder(dataDir);
  try {
    return { store: releasing(await openSqliteStore({ file, onMigrated }), lock), logs };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Output still goes to files, because memory is bounded; that of an earlier life belongs to no run any more. */
async function openInMemory(dataDir: string): Promise<WithoutCredentials> {
  const store = releasing(openMemoryStore(), lockFolder(dataDir));
  const folder = join(dataDir, "memory-logs");
  await rm(folder, { recursive: true, force: true });
  return { store, logs: openFolderLogs(folder) };
}

/** Rows, output and credentials are in the database. The folder is one manager's all the same, so that a copied configuration is noticed. */
async function openOnMariadb(databaseUrl: string, dataDir: string, options: OpenStoreOptions): Promise<OpenedStore> {
  const { shown } = parseMariadbUrl(databaseUrl);
  const own = options.credentialsFile === undefined ? undefined : credentialsIn(options.credentialsFile);
  const { openMariadb } = await byShortWay(() => import("./mariadb/open.ts"));
  const lock = lockFolder(dataDir);
  try {
    const { store, logs, credentials } = await openMariadb(databaseUrl, own ? null : dataDir, options.log);
    if (!own) putSignpost(dataDir, shown);
    return { store: releasing(store, lock), logs, credentials: own ?? credentials };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function sqliteFileOf(databaseUrl: string, dataDir: string): string {
  if (!databaseUrl.startsWith("sqlite:")) {
    // Only the scheme: what follows may hold a password.
    const scheme = /^[^:/?#]*:?/.exec(databaseUrl)?.[0] ?? "";
    throw new Error(
      `MUSTER_DATABASE_URL begins with ${JSON.stringify(scheme)}; it must be memory:, sqlite:, sqlite:<path> or mysql://user:password@host/database.`,
    );
  }
  const path = databaseUrl.slice("sqlite:".length).replace(/^\/\/(?=\/)/, "");
  if (path === ":memory:")
    throw new Error("MUSTER_DATABASE_URL is sqlite::memory:. Write memory: for a store that ends with the manager.");
  if (path === "") return join(dataDir, "muster.db");
  return isAbsolute(path) ? path : join(dataDir, path);
}

/** The store, which lets the lock go when it is disposed of. */
function releasing(store: Store, lock: { release(): void }): Store {
  let held = true;
  return {
    ...store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      if (held) lock.release();
      held = false;
    },
  };
}
