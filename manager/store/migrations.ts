import { readFileSync, readdirSync } from "node:fs";
import { sha256Hex } from "../../schema/digest.ts";

/** One file of a dialect's folder: applied once, in the order of the names, and never changed afterwards. */
export interface Migration {
  readonly name: string;
  readonly sha256: string;
  readonly text: string;
}

/** What the `migrations` table says was applied. */
export interface Applied {
  readonly name: string;
  readonly sha256: string;
}

/** The migrations of a dialect that this release has, in order. */
export function migrationsOf(dialect: "sqlite" | "mariadb"): Migration[] {
  const folder = new URL(`./migrations/${dialect}/`, import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  return names.toSorted().map((name) => {
    // A checkout may have given the lines other ends; the content is the same.
    const text = readFileSync(new URL(name, folder), "utf8").replaceAll("\r\n", "\n");
    return { name: name.slice(0, -".sql".length), sha256: sha256Hex(text), text };
  });
}

/**
 * Those that are still to be applied, in order. Throws a sentence when the database has one that this release does not
 * know (a newer release made it) or has in another wording: to go on would be to guess at the tables.
 */
export function migrationsToApply(known: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  for (const { name, sha256 } of applied) {
    const migration = byName.get(name);
    if (!migration) {
      throw new Error(
        `The database is of a newer version: it has the migration ${name}, which this release does not know. Start the release that made it.`,
      );
    }
    if (migration.sha256 !== sha256) {
      throw new Error(
        `The migration ${name} was applied in another wording than this release has. Start the release that made the data, or restore a backup.`,
      );
    }
  }
  const done = new Set(applied.map((migration) => migration.name));
  return known.filter((migration) => !done.has(migration.name));
}
