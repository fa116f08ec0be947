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
  const byKey = new Map(fields.map((field) => [field.key, { name: field.name, write: writerOf(field.column) }]));
  const tableName = quote(getTableName(table));
  const names = fields.map((field) => field.name).join(", ");
  const writers = fields.map((field) => ({ key: field.key, write: writerOf(field.column) }));
  const texts = new Map<string, string>();
  /** Appends the values of `part` to `values` and returns its fields' names, which are the same for most of a batch. */
  const append = (part: Partial<R>, values: Value[]): string => {
    let shape = "";
    for (const key in part) {
      const value: unknown = part[key];
      if (value === undefined) continue;
      shape += `${key},`;
      values.push(fieldOf(byKey, key).write(value));
    }
    return shape;
  };
  return {
    table: tableName,
    fields,
    insert: `INSERT INTO ${tableName} (${names}) VALUES (${fields.map(() => "?").join(", ")})`,
    select: `SELECT ${names} FROM ${tableName}`,
    columns: (alias) => fields.map((field) => `${alias}.${field.name}`).join(", "),
    encode: (record) => {
      const values: Value[] = [];
      for (const { key, write } of writers) values.push(write((record as Record<string, unknown>)[key]));
      return values;
    },
    decode: (row) => {
      const record: Record<string, unknown> = {};
      fields.forEach((field, at) => {
        const value = row[at];
        record[field.key] = value === null ? null : field.column.mapFromDriverValue(value);
      });
      return record as R;
    },
    update: (set, where) => {
      const values: Value[] = [];
      const changed = append(set, values);
      if (changed === "") return null;
      const shape = `${changed}|${append(where, values)}`;
      let text = texts.get(shape);
      if (text === undefined) texts.set(shape, (text = updateText(tableName, byKey, shape)));
      return { text, values };
    },
  };
}

type Writer = (value: unknown) => Value;
type ByKey = ReadonlyMap<string, { readonly name: string; readonly write: Writer }>;

function fieldOf(byKey: ByKey, key: string): { readonly name: string; readonly write: Writer } {
  const field = byKey.get(key);
  if (!field) throw new Error(`no column for the field ${key}`);
  return field;
}

/** The text of an update; `shape` is the fields that are set and, behind the bar, those of the key, each with a comma. */
function updateText(tableName: string, byKey: ByKey, shape: string): string {
  const [set = "", where = ""] = shape.split("|");
  const assigned = (keys: string): string[] =>
    keys
      .split(",")
      .filter((key) => key !== "")
      .map((key) => `${fieldOf(byKey, key).name} = ?`);
  return `UPDATE ${tableName} SET ${assigned(set).join(", ")} WHERE ${assigned(where).join(" AND ")}`;
}

/** Texts and numbers go to the driver as they are; everything else as its column wants it. */
function writerOf(column: Column): Writer {
  if (column.dataType === "string" || column.dataType === "number") return (value) => (value ?? null) as Value;
  if (column.dataType === "json") return jsonText;
  return (value) => (value === null || value === undefined ? null : (column.mapToDriverValue(value) as Value));
}

/** JSON, with what most rows hold made without a serializer. */
function jsonText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "object" && !Array.isArray(value) && isEmpty(value)) return "{}";
  return JSON.stringify(value);
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}

function quote(name: string): string {
  return `\`${name}\``;
}

/** The text of a label as the label tables hold it; a key has no `=`. */
export function labelText(key: string, value: string): string {
  return `${key}=${value}`;
}
