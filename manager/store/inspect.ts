/** A look at a database beside the managers that use it: nothing is changed, locked or brought up to date. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrationsOf, migrationsToApply, type Applied } from "./migrations.ts";
import { realPath } from "./real-path.ts";
import { byShortWay } from "./short-way.ts";
import type { LeaseRow, Store } from "./store.ts";

type Check = Awaited<ReturnType<Store["check"]>>[number];

export interface Inspected extends AsyncDisposable {
  readonly checks: readonly Check[];
  /** Migrations that the next start of a manager applies. */
  readonly pending: readonly string[];
  /** The folder whose lock is the lease (rule 18); null where the lease is a row that moves. */
  readonly lockFile: string | null;
  leases(): Promise<readonly LeaseRow[]>;
}

const migrationsText = "SELECT `name`, `sha256` FROM `migrations` ORDER BY `name`";
const leasesText = "SELECT `pool`, `holder`, `term`, `batch`, `beat` FROM `leases` ORDER BY `pool`";

/** Rejects with a sentence when it cannot be reached before the signal aborts, is no database of Muster's, or is of a newer release. */
export async function inspectDatabase(databaseUrl: string, signal: AbortSignal): Promise<Inspected> {
  return databaseUrl.startsWith("sqlite:")
    ? inspectSqlite(databaseUrl.slice("sqlite:".length))
    : await inspectMariadb(databaseUrl, signal);
}

function inspectSqlite(file: string): Inspected {
  if (!existsSync(file)) throw new Error(`there is no database at ${file}`);
  const database = new DatabaseSync(file, { readOnly: true, timeout: 1_000 });
  try {
    const pending = pendingIn("sqlite", database.prepare(migrationsText).all().map(Object.values));
    const mode = database.prepare("PRAGMA journal_mode").get()?.["journal_mode"];
    return {
      checks: [
        { name: "database", ok: true, sentence: `SQLite answers from ${file}.` },
        ...(mode === "wal"
          ? []
          : [{ name: "durability", ok: false, sentence: `journal_mode is ${String(mode)}; the manager sets wal at its start.` }]),
      ],
      pending,
      lockFile: join(dirname(realPath(file)), "lock.db"),
      leases: async () => database.prepare(leasesText).all().map(Object.values).map(leaseOf),
      [Symbol.asyncDispose]: async () => database.close(),
    };
  } catch (cause) {
    database.close();
    throw new Error(`the database ${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function inspectMariadb(url: string, signal: AbortSignal): Promise<Inspected> {
  const [{ openConnections }, { checkMariadb }] = await byShortWay(
    async () => await Promise.all([import("./mariadb/connection.ts"), import("./mariadb/check.ts")]),
  );
  const connections = await openConnections(url, { signal });
  try {
    const checks = await checkMariadb(connections);
    return {
      checks,
      pending: pendingIn("mariadb", await connections.read(migrationsText)),
      lockFile: null,
      leases: async () => (await connections.read(leasesText)).map(leaseOf),
      [Symbol.asyncDispose]: () => connections[Symbol.asyncDispose](),
    };
  } catch (cause) {
    await connections[Symbol.asyncDispose]();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the database ${connections.address.shown} cannot be read: ${why}`, { cause });
  }
}

function pendingIn(dialect: "sqlite" | "mariadb", rows: readonly (readonly unknown[])[]): string[] {
  const applied = rows.map(([name, sha256]): Applied => ({ name: String(name), sha256: String(sha256) }));
  return migrationsToApply(migrationsOf(dialect), applied).map(({ name }) => name);
}

function leaseOf([pool, holder, term, batch, beat]: readonly unknown[]): LeaseRow {
  return { pool: String(pool), holder: String(holder), term: Number(term), batch: Number(batch), beat: Number(beat) };
}
