/** Brings a database's tables up to date. One manager at a time: the others wait for it, and then find nothing to do. */
import { sha256Hex } from "../../../schema/digest.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import { migrationsOf, migrationsToApply, type Applied } from "../migrations.ts";
import type { Connections, Session } from "./connection.ts";

const migrationsTable =
  "CREATE TABLE IF NOT EXISTS `migrations` (`name` VARCHAR(128) NOT NULL PRIMARY KEY, `sha256` VARCHAR(64) NOT NULL)" +
  " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
const hasMigrations = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'migrations'";

/**
 * Applies what is missing, under a lock of the server that goes with the connection. Statements of definition commit by
 * themselves in MariaDB: one that was cut short begins anew, so each is written to find its work done already.
 */
export async function migrate(connections: Connections, onMigrated: ((name: string) => void) | undefined): Promise<void> {
  // Names of locks are the whole server's, and shorter than a database's name may be.
  const lock = `muster migrate ${sha256Hex(connections.address.database).slice(0, 32)}`;
  await connections.session(async (session) => {
    await takeLock(session, lock);
    // A server that takes no writes for now refuses even to make a table that is there.
    const isThere = (await session.query(hasMigrations)).rows.length > 0;
    if (!isThere) await session.query(migrationsTable);
    const { rows } = await session.query("SELECT `name`, `sha256` FROM `migrations` ORDER BY `name`");
    const applied: Applied[] = rows.map((row) => ({ name: String(row[0]), sha256: String(row[1]) }));
    for (const migration of migrationsToApply(migrationsOf("mariadb"), applied)) {
      for (const statement of statementsOfMigration(migration.text)) await session.query(statement);
      await session.query("INSERT INTO `migrations` (`name`, `sha256`) VALUES (?, ?)", [migration.name, migration.sha256]);
      onMigrated?.(migration.name);
    }
    await session.query("SELECT RELEASE_LOCK(?)", [lock]);
  }, mariadbLimits.migrationMs);
}

async function takeLock(session: Session, lock: string): Promise<void> {
  // Half of what a statement may take, so that the server's answer comes first.
  const { rows } = await session.query("SELECT GET_LOCK(?, ?)", [lock, mariadbLimits.migrationMs / 2_000]);
  if (Number(rows[0]?.[0]) !== 1)
    throw new Error("Another manager has been bringing the database up to date for long. Start again when it is done.");
}

/** The statements of a migration: each ends with a semicolon at the end of a line. Comments are lines of their own. */
export function statementsOfMigration(text: string): string[] {
  const code = text.replaceAll(/^--.*$/gm, "");
  return code
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}
