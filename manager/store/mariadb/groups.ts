/**
 * Few statements out of many: rows for one table become one INSERT, updates of the same columns one UPDATE. Statements that
 * touch one row keep their order; rows of different tables know nothing of each other, and neither do different rows of the
 * tables that are grouped.
 */
import type { RowText } from "./literals.ts";

/** Rows of one INSERT. */
export interface InsertGroup {
  readonly kind: "insert";
  /** `INSERT INTO t (…) VALUES `. */
  readonly head: string;
  /** `(…)`. */
  readonly rows: string[];
}

/** Updates of the same columns of one table, to the same state where they have one, each of another row. */
export interface UpdateGroup {
  readonly kind: "update";
  readonly table: string;
  /** The primary key's columns, and those that are set. */
  readonly keys: readonly string[];
  readonly columns: readonly string[];
  /** Literals: the key's, then those of the columns. */
  readonly rows: string[][];
  /** What each row is, for the sentence that says that it is not there. */
  readonly what: string[];
}

/** One statement by itself; `must`: the sentence if it does not match exactly one row. */
export interface LoneStatement {
  readonly kind: "statement";
  readonly text: string;
  readonly must: string | undefined;
}

export type Group = InsertGroup | UpdateGroup | LoneStatement;

/** Takes statements in the order of the batch and puts each into the earliest group that keeps that order. */
export class Grouping {
  readonly groups: Group[] = [];
  /** Where the open group of a kind is: by the head of its INSERT, or by table, columns and state. */
  readonly #open = new Map<string, number>();
  /** The last group that touches a row. */
  readonly #touched = new Map<string, number>();

  /** `row` names the row among those that updates may touch. */
  insert<R>(writer: RowText<R>, record: R, row?: string): void {
    const before = row === undefined ? undefined : this.#touched.get(row);
    const text = writer.row(record);
    const at = this.insertText(text.head, text.row, before);
    if (row !== undefined) this.#touched.set(row, at);
  }

  /** Returns the group's place; it is behind `before`, or there. */
  insertText(head: string, row: string, before = -1): number {
    const open = this.#open.get(head);
    if (open !== undefined && open >= before) {
      (this.groups[open] as InsertGroup).rows.push(row);
      return open;
    }
    return this.#begin(head, { kind: "insert", head, rows: [row] });
  }

  /** `key`: the literals of the columns `keys`. `row` names the row, also in the sentence that says that it is not there. */
  update<R>(writer: RowText<R>, keys: readonly string[], key: readonly string[], set: Partial<R>, row: string): void {
    const { columns, literals } = writer.set(set);
    if (columns.length === 0) return;
    // Rows that go to the same state mostly end alike, and what is alike is written once.
    const shape = `${writer.table} ${columns.join()} ${literals[columns.indexOf("`state`")] ?? ""}`;
    const open = this.#open.get(shape);
    const values = [...key, ...literals];
    // A row may be in a group but once, and not in one that comes before another statement of it.
    if (open !== undefined && (this.#touched.get(row) ?? -1) < open) {
      const group = this.groups[open] as UpdateGroup;
      group.rows.push(values);
      group.what.push(row);
      this.#touched.set(row, open);
      return;
    }
    const group: UpdateGroup = { kind: "update", table: writer.table, keys, columns, rows: [values], what: [row] };
    this.#touched.set(row, this.#begin(shape, group));
  }

  lone(text: string, must: string | undefined, row?: string): void {
    const at = this.groups.push({ kind: "statement", text, must }) - 1;
    if (row !== undefined) this.#touched.set(row, at);
  }

  /** Rows that are inserted from here on come behind everything so far. */
  close<R>(writer: RowText<R>): void {
    for (const head of this.#open.keys()) if (head.startsWith(`INSERT INTO ${writer.table} (`)) this.#open.delete(head);
  }

  #begin(shape: string, group: Group): number {
    const at = this.groups.push(group) - 1;
    this.#open.set(shape, at);
    return at;
  }
}
