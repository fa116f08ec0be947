import { getTableColumns, is, type Column } from "drizzle-orm";
import { getTableConfig as mariadbConfig, MySqlTable } from "drizzle-orm/mysql-core";
import { getTableConfig as sqliteConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { migrationsOf } from "../../../manager/store/migrations.ts";
import { openSqliteFile } from "../../../manager/store/sqlite/file.ts";
import * as mariadbCredentials from "../../../manager/store/tables/mariadb-credentials.ts";
import * as mariadbLogs from "../../../manager/store/tables/mariadb-logs.ts";
import * as mariadb from "../../../manager/store/tables/mariadb.ts";
import * as sqlite from "../../../manager/store/tables/sqlite.ts";

/** A table with everything that decides what it can hold, in a form to compare. */
interface Shape {
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly notNull: boolean;
    readonly key: number;
    readonly generated: boolean;
  }[];
  readonly indexes: readonly string[];
}

interface IndexOfDrizzle {
  readonly config: {
    readonly name: string;
    readonly unique: boolean;
    readonly columns: readonly unknown[];
    readonly where?: unknown;
  };
}

function indexText(name: string, unique: boolean, columns: readonly string[], partial: boolean): string {
  return `${unique ? "unique " : ""}${name} (${columns.join(", ")})${partial ? " partial" : ""}`;
}

function shapeOfDrizzle(config: { columns: Column[]; indexes: IndexOfDrizzle[]; primaryKeys: { columns: Column[] }[] }): Shape {
  const keys =
    config.primaryKeys[0]?.columns.map((column) => column.name) ??
    config.columns.filter((column) => column.primary).map((column) => column.name);
  return {
    columns: config.columns.map((column) => ({
      name: column.name,
      type: column.getSQLType().toUpperCase(),
      notNull: column.notNull,
      key: keys.indexOf(column.name) + 1,
      generated: column.generated !== undefined,
    })),
    indexes: config.indexes
      .map(({ config: one }) =>
        indexText(
          one.name,
          one.unique,
          one.columns.map((column) => (column as Column).name),
          one.where !== undefined,
        ),
      )
      .toSorted(),
  };
}

const sqliteTables = Object.values(sqlite)
  .filter((table) => is(table, SQLiteTable))
  .map(sqliteConfig);
const mariadbTables = [mariadb, mariadbLogs, mariadbCredentials]
  .flatMap((module) => Object.values(module))
  .filter((table) => is(table, MySqlTable))
  .map(mariadbConfig);

/** The database that the migrations make, as SQLite itself describes it. */
function shapesInSqlite(): Map<string, Shape> {
  const file = openSqliteFile(":memory:", 0);
  for (const migration of migrationsOf("sqlite")) file.exec(migration.text);
  const names = file
    .all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", [])
    .map((row) => String(row[0]));
  const shapes = names.map((name): [string, Shape] => {
    const columns = file.all('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', [name]).map((row) => ({
      name: String(row[0]),
      type: String(row[1]),
      notNull: row[2] === 1,
      key: Number(row[3]),
      generated: row[4] !== 0,
    }));
    const indexes = file
      .all("SELECT name, \"unique\", partial FROM pragma_index_list(?) WHERE origin = 'c'", [name])
      .map((row) => {
        const keyColumns = file
          .all("SELECT name FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", [String(row[0])])
          .map((column) => String(column[0]));
        return indexText(String(row[0]), row[1] === 1, keyColumns, row[2] === 1);
      });
    return [name, { columns, indexes: indexes.toSorted() }];
  });
  file.close();
  return new Map(shapes);
}

describe("the migrations of SQLite", () => {
  test("make exactly the tables that drizzle knows", () => {
    const made = shapesInSqlite();
    const known = sqliteTables.filter((table) => table.name !== "migrations");
    expect([...made.keys()].toSorted()).toEqual(known.map((table) => table.name).toSorted());
    for (const table of known) expect(made.get(table.name), table.name).toEqual(shapeOfDrizzle(table as never));
  });
});

describe("the migrations of MariaDB", () => {
  const text = migrationsOf("mariadb")
    .map((migration) => migration.text)
    .join("\n");

  test("make exactly the tables that drizzle knows, all in the collation that tells every two texts apart", () => {
    const statements = [...text.matchAll(/CREATE TABLE IF NOT EXISTS `(\w+)` \(\n([\s\S]*?)\n\) ([^;]*);/g)];
    const known = mariadbTables.filter((table) => table.name !== "migrations");
    expect(statements.map((one) => String(one[1])).toSorted()).toEqual(known.map((table) => table.name).toSorted());
    for (const [, name, body, options] of statements) {
      expect(options).toBe("ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
      const lines = (body ?? "").split(",\n").map((line) => line.trim());
      const shape = shapeOfDrizzle(known.find((table) => table.name === name) as never);
      const keys = shape.columns
        .filter((column) => column.key > 0)
        .toSorted((a, b) => a.key - b.key)
        .map((column) => `\`${column.name}\``);
      const columns = shape.columns.map((column) =>
        column.generated
          ? `\`${column.name}\` ${column.type} GENERATED ALWAYS AS (CASE WHEN \`deleted\` = 0 THEN \`name\` END) VIRTUAL`
          : `\`${column.name}\` ${column.type}${column.notNull ? " NOT NULL" : ""}`,
      );
      const indexes = shape.indexes.map((index) => {
        const [, unique, indexName, of] = /^(unique )?(\w+) \((.*)\)/.exec(index) ?? [];
        return `${unique ? "UNIQUE " : ""}KEY \`${indexName}\` (${(of ?? "")
          .split(", ")
          .map((column) => `\`${column}\``)
          .join(", ")})`;
      });
      expect(lines.toSorted(), name).toEqual([...columns, `PRIMARY KEY (${keys.join(", ")})`, ...indexes].toSorted());
    }
  });

  test("no index key is longer than InnoDB allows", () => {
    for (const table of mariadbTables) {
      const bytesOf = new Map(
        table.columns.map((column) => [column.name, 4 * Number(/varchar\((\d+)\)/.exec(column.getSQLType())?.[1] ?? 2)]),
      );
      const keys = [
        ...shapeOfDrizzle(table as never).indexes.map((index) => /\((.*)\)/.exec(index)?.[1]?.split(", ") ?? []),
        ...table.primaryKeys.map((one) => one.columns.map((column) => column.name)),
      ];
      for (const columns of keys)
        expect(
          columns.reduce((sum, column) => sum + (bytesOf.get(column) ?? 0), 0),
          `${table.name} (${columns.join(", ")})`,
        ).toBeLessThanOrEqual(3_072);
    }
  });
});

describe("the two dialects", () => {
  test("have the same tables, fields, columns, keys and indexes", () => {
    expect(Object.keys(mariadb).toSorted()).toEqual(Object.keys(sqlite).toSorted());
    for (const [name, table] of Object.entries(sqlite)) {
      const other = (mariadb as Record<string, unknown>)[name] as typeof table;
      const fields = (of: typeof table) =>
        Object.entries(getTableColumns(of)).map(([field, column]) => [
          field,
          column.name,
          column.notNull,
          column.generated !== undefined,
        ]);
      expect(fields(other), name).toEqual(fields(table));
      const [mine, theirs] = [shapeOfDrizzle(sqliteConfig(table)), shapeOfDrizzle(mariadbConfig(other as never) as never)];
      expect(theirs.columns.map((column) => column.key)).toEqual(mine.columns.map((column) => column.key));
      // The one difference: what SQLite does by a partial index MariaDB does by a longer one.
      const alike = (index: string) => /^(attempts_open|runs_queue)/.exec(index)?.[0] ?? index;
      expect(theirs.indexes.map(alike), name).toEqual(mine.indexes.map(alike));
    }
  });
});
