/**
 * Fills a database with history in SQL, from runs that the system itself has made: their rows in every table are written again
 * with other ids, later times and higher numbers. So the rows are what Muster writes, whatever columns they have.
 */
import type { Database } from "../kit/database.ts";

/** Copies that one statement makes of each row: a hundred thousand rows at a time. */
const copiesAtOnce = 500;
/** Milliseconds between one copy and the next: two millions go back three hours. */
const stepMs = 1_000;

interface Dialect {
  readonly columns: (table: string) => string;
  readonly numbers: (count: number) => string;
  readonly id: (column: string) => string;
  readonly fast: readonly string[];
}

const dialects: Readonly<Record<string, Dialect>> = {
  SQLite: {
    columns: (table) => `SELECT name AS k FROM pragma_table_info('${table}')`,
    numbers: (count) =>
      `(WITH RECURSIVE s(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < ${count}) SELECT seq FROM s)`,
    id: (column) => `printf('%08d', s.seq) || substr(${column}, 9)`,
    fast: ["PRAGMA synchronous = OFF", "PRAGMA cache_size = -500000"],
  },
  MariaDB: {
    columns: (table) =>
      `SELECT column_name AS k FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '${table}' AND extra NOT LIKE '%GENERATED%'`,
    // As signed numbers: its own are not, and times go back.
    numbers: (count) => `(SELECT CAST(seq AS SIGNED) AS seq FROM seq_1_to_${count})`,
    id: (column) => `CONCAT(LPAD(s.seq, 8, '0'), SUBSTR(${column}, 9))`,
    fast: ["SET unique_checks = 0"],
  },
};

/** Tables whose rows belong to a run; those that are not there are passed over. */
const tables = ["runs", "run_labels", "attempts", "events"] as const;

/** Makes `copies` of every run in the database, and takes the first ones away. Nobody else may use the database meanwhile. */
export async function cloneRuns(database: Database, copies: number): Promise<void> {
  const dialect = dialects[database.name];
  if (!dialect) throw new Error(`there is no way to fill ${database.name}`);
  const [top] = await database.rows("SELECT MAX(run_order) AS o, COUNT(*) AS n FROM runs");
  const [last] = await database.rows("SELECT MAX(number) AS n FROM events");
  // A row of events may stand for several numbers.
  const spacing = { order: Number(top?.["o"]) + 1, number: Number(last?.["n"]) + 10 };
  for (const table of tables) {
    const columns = (await database.rows(dialect.columns(table))).map((row) => String(row["k"]));
    const run = table === "runs" ? "id" : "run_id";
    const cells = columns.map((column) => cellOf(dialect, table, column, spacing, copies));
    const names = columns.map((column) => `\`${column}\``).join(", ");
    // Apart, or each copy would search the first runs' rows among all those that are copied already. It goes with the connection.
    const statements: string[] = [
      ...dialect.fast,
      `CREATE TEMPORARY TABLE originals AS SELECT * FROM ${table} WHERE ${run} NOT LIKE '0%'`,
    ];
    for (let from = 0; from < copies; from += copiesAtOnce) {
      const numbers = dialect.numbers(Math.min(copiesAtOnce, copies - from));
      // The copies' ids begin with 0, the first runs' with their instant.
      statements.push(
        `INSERT INTO ${table} (${names}) SELECT ${cells.join(", ")} FROM (SELECT seq + ${from} AS seq FROM ${numbers} AS q) AS s CROSS JOIN originals AS t ORDER BY s.seq`,
      );
    }
    statements.push(`DELETE FROM ${table} WHERE ${run} NOT LIKE '0%'`);
    await database.all(statements);
  }
  if (database.name === "MariaDB") await database.all([`ANALYZE TABLE ${tables.join(", ")}`]);
}

function cellOf(
  dialect: Dialect,
  table: string,
  column: string,
  spacing: { readonly order: number; readonly number: number },
  copies: number,
): string {
  const cell = `t.\`${column}\``;
  if (column === "run_id" || column === "attempt_id" || (column === "id" && table !== "events")) return dialect.id(cell);
  if (column === "run_order") return `${cell} + s.seq * ${spacing.order}`;
  if (table === "events" && column === "number") return `${cell} + s.seq * ${spacing.number}`;
  if (column === "at" || column.endsWith("_at")) return `${cell} + (s.seq - ${copies}) * ${stepMs}`;
  return cell;
}
