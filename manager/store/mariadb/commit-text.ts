/**
 * A batch as the texts that make it one transaction: one text, unless it is larger than a text may be (rules 17 and 19). A
 * block with an exit handler, because a plain list of statements goes on after an error.
 */
import type { Batch } from "../store.ts";
import { literal, numberLiteral } from "./literals.ts";
import type { Group, InsertGroup, LoneStatement, UpdateGroup } from "./groups.ts";

/** What the block itself raises (numbers that MariaDB has not given away). */
export const signals = {
  /** The lease row is not ours, or this batch was applied before. */
  deposed: 30_001,
  /** A row to update is not there. */
  noSuchRow: 30_002,
  /** A later text of the transaction found that it had ended. */
  transactionGone: 30_003,
} as const;

/** The server takes no longer sentence from a SIGNAL. */
const sentenceChars = 128;

const open = "BEGIN NOT ATOMIC DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; ";
const begin = `${open}START TRANSACTION; `;
const goOn = `${open}IF @@in_transaction = 0 THEN ${raise(signals.transactionGone, "The transaction is gone.")} END IF; `;

/**
 * The texts, made one at a time; only the last one commits. Each has at most `textBytes` as UTF-8 unless a single row has
 * more.
 */
export function* commitTexts(batch: Batch, groups: readonly Group[], textBytes: number): Generator<string> {
  // A UTF-16 unit is at most three bytes as UTF-8.
  const charsMax = Math.floor(textBytes / 3);
  let text = begin + advance(batch);
  for (const group of groups) {
    for (const statement of statementsOfGroup(group, charsMax)) {
      if (text.length + statement.length > charsMax && text !== goOn) {
        yield `${text}END`;
        text = goOn;
      }
      text += statement;
    }
  }
  yield `${text}COMMIT; END`;
}

/** Rule 17's compare and set. */
function advance({ pool, term, batch }: Batch): string {
  const number = numberLiteral(batch);
  return (
    `UPDATE \`leases\` SET \`batch\` = ${number} WHERE \`pool\` = ${literal(pool)} AND \`term\` = ${numberLiteral(term)}` +
    ` AND \`batch\` = ${number} - 1; IF ROW_COUNT() = 0 THEN ${raise(signals.deposed, "The lease is not ours.")} END IF; `
  );
}

function raise(number: number, sentence: string): string {
  return `SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = ${number}, MESSAGE_TEXT = ${literal(sentence.slice(0, sentenceChars))};`;
}

function statementsOfGroup(group: Group, charsMax: number): Iterable<string> {
  switch (group.kind) {
    case "insert":
      return inserts(group, charsMax);
    case "update":
      return updates(group, charsMax);
    case "statement":
      return [loneText(group)];
  }
}

function loneText({ text, must }: LoneStatement): string {
  return must === undefined ? `${text}; ` : `${text}; ${must1(must)}`;
}

function must1(sentence: string): string {
  return `IF ROW_COUNT() <> 1 THEN ${raise(signals.noSuchRow, sentence)} END IF; `;
}

function* inserts({ head, rows }: InsertGroup, charsMax: number): Generator<string> {
  for (const part of parts(rows, charsMax, (row) => row.length)) yield `${head}${part.join(",")}; `;
}

/** Connections count the rows that an update matched (CLIENT_FOUND_ROWS), also where nothing was changed. */
function* updates(group: UpdateGroup, charsMax: number): Generator<string> {
  const { table, keys, columns, what } = group;
  const lengthOf = (row: readonly string[]): number => row.reduce((sum, one) => sum + one.length + 1, 2);
  let at = 0;
  for (const rows of parts(group.rows, charsMax, lengthOf)) {
    const first = what[at] ?? "";
    at += rows.length;
    if (rows.length === 1) {
      const [row = []] = rows;
      const set = columns.map((column, index) => `${column} = ${row[keys.length + index]}`).join(", ");
      const where = keys.map((key, index) => `${key} = ${row[index]}`).join(" AND ");
      yield `UPDATE ${table} SET ${set} WHERE ${where}; ${must1(`There is no ${first} to update.`)}`;
      continue;
    }
    const sentence = `There is no ${first} (or another of ${rows.length}) to update.`;
    yield `${joinedUpdate(group, rows)}; IF ROW_COUNT() <> ${rows.length} THEN ${raise(signals.noSuchRow, sentence)} END IF; `;
  }
}

/**
 * Many updates by primary key in one statement: twice as quick as one by one, and unlike a CASE its time grows only with the
 * number of rows. What all rows have alike stands outside, which halves the time again. The first SELECT names the columns and
 * gives no row.
 */
function joinedUpdate({ table, keys, columns }: UpdateGroup, rows: readonly (readonly string[])[]): string {
  const first = rows[0] ?? [];
  const places = columns.map((_, index) => keys.length + index);
  const alike = places.map((place) => rows.every((row) => row[place] === first[place]));
  const varying = places.filter((_, index) => !alike[index]);
  const [key = ""] = keys;
  if (varying.length === 0 && keys.length === 1) {
    const set = columns.map((column, index) => `${column} = ${first[places[index] ?? 0]}`).join(", ");
    return `UPDATE ${table} SET ${set} WHERE ${key} IN (${rows.map((row) => row[0]).join(",")})`;
  }
  const names = [...keys, ...varying.map((place) => columns[place - keys.length])];
  const kept = [...keys.keys(), ...varying];
  const values = rows.map((row) => `(${kept.map((place) => row[place]).join(",")})`).join(",");
  const on = keys.map((one) => `t.${one} = v.${one}`).join(" AND ");
  const set = columns
    .map((column, index) => `t.${column} = ${alike[index] ? first[places[index] ?? 0] : `v.${column}`}`)
    .join(", ");
  const named = names.map((name) => `NULL AS ${name}`).join(",");
  return `UPDATE (SELECT ${named} WHERE 0 UNION ALL VALUES ${values}) v STRAIGHT_JOIN ${table} t ON ${on} SET ${set}`;
}

/** Cuts rows into parts of at most so many characters; a longer row is a part by itself. */
function* parts<T>(rows: readonly T[], charsMax: number, lengthOf: (row: T) => number): Generator<readonly T[]> {
  let from = 0;
  let chars = 0;
  for (const [at, row] of rows.entries()) {
    const length = lengthOf(row) + 1;
    if (chars + length > charsMax && at > from) {
      yield rows.slice(from, at);
      from = at;
      chars = 0;
    }
    chars += length;
  }
  yield from === 0 ? rows : rows.slice(from);
}
