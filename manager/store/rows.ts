/**
 * Records to rows and back, and the statements of the hot paths, made from a dialect's table definitions. The texts are
 * the same in SQLite and MariaDB: names in backticks, `?` for values, plain inserts and updates by primary key (rule 21).
 */
import { getTableColumns, getTableName, type Column, type Table } from "drizzle-orm";

/** A value as a driver takes and gives it. */
export type Value = string | number | bigint | Uint8Array | null;

/** A field of a record and its column; `name` is quoted. */
export interface Field {
  readonly key: string;
  readonly name: string;
  readonly column: Column;
}

/** How the records of one table are written and read. `R` is the record's type; its keys are the table's. */
export interface RowCodec<R> {
  /** The table's name, quoted. */
  readonly table: string;
  /** In the order of `encode`. */
  readonly fields: readonly Field[];
  /** `INSERT INTO t (…) VALUES (?, …)` for `encode`. */
  readonly insert: string;
  /** `SELECT … FROM t`, to be followed by a WHERE clause; its rows are arrays for `decode`. */
  readonly select: string;
  /** The columns of `select`, each with `alias.` before it, for joins. */
  columns(alias: string): string;
  encode(record: R): Value[];
  decode(row: readonly unknown[]): R;
  /** `UPDATE t SET … WHERE keys`, its values in order; null when `set` names nothing. */
  update(set: Partial<R>, where: Partial<R>): { readonly text: string; readonly values: Value[] } | null;
}

/** Makes the codec of a table. Generated columns are the database's own and are left out. */
export function rowCodec<R extends object>(table: Table): RowCodec<R> {
  const fields: Field[] = Object.entries(getTableColumns(table))
    .filter(([, column]) => column.generated === undefined)
    .map(([key, column]) => ({ key, name: quote(column.name), column }));
  const byKey = new Map(fields.map((field) => [field.key, field]));
  const tableName = quote(getTableName(table));
  const names = fields.map((field) => field.name).join(", ");
  const pairs = (part: Partial<R>): [Field, Value][] =>
    Object.entries(part)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [fieldOf(byKey, key), toDriver(fieldOf(byKey, key), value)]);
  return {
    table: tableName,
    fields,
    insert: `INSERT INTO ${tableName} (${names}) VALUES (${fields.map(() => "?").join(", ")})`,
    select: `SELECT ${names} FROM ${tableName}`,
    columns: (alias) => fields.map((field) => `${alias}.${field.name}`).join(", "),
    encode: (record) => fields.map((field) => toDriver(field, (record as Record<string, unknown>)[field.key])),
    decode: (row) => {
      const record: Record<string, unknown> = {};
      fields.forEach((field, at) => {
        const value = row[at];
        record[field.key] = value === null ? null : field.column.mapFromDriverValue(value);
      });
      return record as R;
    },
    update: (set, where) => {
      const changes = pairs(set);
      if (changes.length === 0) return null;
      const keys = pairs(where);
      const assigned = changes.map(([field]) => `${field.name} = ?`).join(", ");
      const matched = keys.map(([field]) => `${field.name} = ?`).join(" AND ");
      return {
        text: `UPDATE ${tableName} SET ${assigned} WHERE ${matched}`,
        values: [...changes, ...keys].map(([, value]) => value),
      };
    },
  };
}

function fieldOf(byKey: ReadonlyMap<string, Field>, key: string): Field {
  const field = byKey.get(key);
  if (!field) throw new Error(`no column for the field ${key}`);
  return field;
}

function toDriver(field: Field, value: unknown): Value {
  return value === null || value === undefined ? null : (field.column.mapToDriverValue(value) as Value);
}

function quote(name: string): string {
  return `\`${name}\``;
}

/** The text of a label as the label tables hold it; a key has no `=`. */
export function labelText(key: string, value: string): string {
  return `${key}=${value}`;
}
