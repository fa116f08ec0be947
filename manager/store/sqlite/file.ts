import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { Value } from "../rows.ts";

/** Texts vary only with which fields an update sets; a cache beyond this many would mean that values got into texts. */
const statementsKept = 500;

/** One SQLite database: prepared statements by their text, rows as arrays, transactions that never wait. */
export interface SqliteFile {
  /** Runs one statement; returns how many rows it changed. */
  run(text: string, values: readonly Value[]): number;
  all(text: string, values: readonly Value[]): unknown[][];
  get(text: string, values: readonly Value[]): unknown[] | undefined;
  /** Runs several statements without values. */
  exec(text: string): void;
  /**
   * `BEGIN IMMEDIATE`, the work, `COMMIT`; a rollback when the work throws or returns `undefined`. The work is synchronous,
   * so nothing else of this process gets between.
   */
  transaction<T>(work: () => T | undefined): T | undefined;
  close(): void;
}

/** What a failed `COMMIT` is wrapped in: only there can an error leave it open whether the transaction holds. */
export class CommitFailed extends Error {
  override readonly name = "CommitFailed";
}

/** Opens the file, or `:memory:`. Waits up to `busyMs` for another process that writes. Throws what SQLite throws. */
export function openSqliteFile(path: string, busyMs: number): SqliteFile {
  // It holds secrets and what tasks were given; SQLite gives its log files the same mode.
  if (path !== ":memory:") closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path, { timeout: busyMs });
  const statements = new Map<string, StatementSync>();
  const prepare = (text: string): StatementSync => {
    const known = statements.get(text);
    if (known) return known;
    if (statements.size >= statementsKept) statements.clear();
    const made = database.prepare(text);
    made.setReturnArrays(true);
    statements.set(text, made);
    return made;
  };
  const bind = (values: readonly Value[]) => values as readonly SQLInputValue[];
  return {
    run: (text, values) => Number(prepare(text).run(...bind(values)).changes),
    all: (text, values) => prepare(text).all(...bind(values)) as unknown as unknown[][],
    get: (text, values) => prepare(text).get(...bind(values)) as unknown as unknown[] | undefined,
    exec: (text) => database.exec(text),
    transaction: (work) => {
      // A rollback that failed (the disk was away) may have left one open.
      if (database.isTransaction) database.exec("ROLLBACK");
      database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        if (result === undefined) database.exec("ROLLBACK");
        else commit(database);
        return result;
      } catch (error) {
        rollBack(database, error);
        throw error;
      }
    },
    close: () => database.close(),
  };
}

function commit(database: DatabaseSync): void {
  try {
    database.exec("COMMIT");
  } catch (cause) {
    throw new CommitFailed("the transaction could not be committed", { cause });
  }
}

/** SQLite has rolled back by itself after some errors (disk full, I/O). */
function rollBack(database: DatabaseSync, first: unknown): void {
  if (!database.isTransaction) return;
  try {
    database.exec("ROLLBACK");
  } catch (second) {
    // The rollback's error decides: what keeps it from working has to pass before anything else can.
    throw new AggregateError([first, second], "the transaction failed, and so did its rollback", { cause: second });
  }
}
