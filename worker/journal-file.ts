/** The file of the journal: its tables, its version, what happens to a broken one. */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { boundedSentence } from "../schema/end.ts";
import { shortId } from "../schema/kit/random.ts";
import { workerLimits } from "../schema/limits.ts";
import type { JournalMeta } from "./agent/records.ts";
import { BrokenSeal, openRow, reportKey } from "./journal-rows.ts";
import { countInPlace, keepStarts, startsIn } from "./journal-starts.ts";
import { isBusy, isFull, isMalformed } from "./sqlite-errors.ts";

/** SQLite's user_version of the tables below. */
const tablesVersion = 3;

const tables = `
  CREATE TABLE meta (
    journal TEXT NOT NULL, n INTEGER NOT NULL, highest_term INTEGER NOT NULL, highest_ack INTEGER NOT NULL,
    next_seq INTEGER NOT NULL, made_wall INTEGER NOT NULL, forgotten_seq INTEGER NOT NULL DEFAULT 0,
    unheard_seq INTEGER
  ) STRICT;
  CREATE TABLE ledger (attempt TEXT PRIMARY KEY, entry TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE reports (seq INTEGER PRIMARY KEY, attempt TEXT NOT NULL, body TEXT NOT NULL) STRICT;
  PRAGMA user_version = ${tablesVersion};
`;

/** What brings the tables of a version to the next one. An agent that never forgot an end has forgotten none above 0. */
const upgrades: Readonly<Record<number, string>> = {
  1: "ALTER TABLE meta ADD COLUMN forgotten_seq INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 2;",
  2: "ALTER TABLE meta ADD COLUMN unheard_seq INTEGER; PRAGMA user_version = 3;",
};

/** A WAL that grew under a backlog is cut to this again. */
const walKeptBytes = 4_194_304;

export interface JournalFile {
  readonly path: string;
  readonly database: DatabaseSync;
  /** Which start of an agent this is (rule 1). */
  readonly n: number;
  /** One transaction: all of it on the disk, or none of it and the error. */
  transact(work: () => void): void;
  close(): void;
}

/** Opens or makes the file and counts this start. `notes` gets a sentence when a malformed file was moved aside. */
export function openFile(path: string, wall: number, notes: string[]): JournalFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    return opened(path, wall);
  } catch (error) {
    if (!isMalformed(error) && !(error instanceof Unreadable) && !(error instanceof BrokenSeal)) throw error;
    const aside = moveAside(path, "corrupt");
    notes.push(
      `${path} was malformed (${said(error)}) and is now ${aside}; this worker begins a new journal. ` +
        "What ran under the old one goes on unwatched; the manager shows those runs as unreachable or lost.",
    );
    return opened(path, wall);
  }
}

/**
 * Moves the file aside and returns what makes one with a new id, which has obeyed the same highest term (rule 15). On a full disk that
 * throws, and may be tried again.
 */
export function replaceFile(old: JournalFile, wall: number): () => JournalFile {
  const { highestTerm } = readMeta(old);
  old.close();
  moveAside(old.path, "replaced");
  return () => opened(old.path, wall, highestTerm);
}

/** What the file says of itself; `n` is the last start that it could count. `nextSeq` follows from what it holds: reports go only when an ack covers them. */
export function readMeta({ database }: Pick<JournalFile, "database">): JournalMeta {
  const row = database
    .prepare(
      `SELECT journal, n, highest_term AS highestTerm, highest_ack AS highestAck,
         max(1, next_seq, highest_ack + 1, (SELECT coalesce(max(seq), 0) + 1 FROM reports)) AS nextSeq,
         forgotten_seq AS forgottenSeq, unheard_seq AS unheardSeq FROM meta`,
    )
    .get();
  return { ...(row as unknown as JournalMeta) };
}

/** The rows are not what this file's version promises. */
class Unreadable extends Error {}

function opened(path: string, wall: number, highestTerm = 0): JournalFile {
  // It holds what tasks were given, secrets too, and its folder is open to the users that tasks run as.
  closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path);
  try {
    // Nobody else may read or write it while an agent has it, and so it needs no shared memory beside it.
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = FULL");
    database.exec(`PRAGMA journal_size_limit = ${walKeptBytes}`);
    const file = { ...fileOf(path, database), n: 0 };
    checkVersion(path, database);
    if (versionOf(database) === 0) makeTables(file, wall, highestTerm);
    upgrade(file);
    checkContent(database);
    return { ...file, n: countStart(file) };
  } catch (error) {
    database.close();
    if (isBusy(error))
      throw new Error(`another process has ${path} open: is a second worker running on this folder?`, { cause: error });
    throw error;
  }
}

/** Durable when it returns. On a full disk the count lies beside the journal, whose reserve stays for ends. */
function countStart(file: JournalFile): number {
  const { journal, n: before } = readMeta(file);
  const starts = startsOf(file.path);
  const n = Math.max(before, startsIn(starts, journal)) + 1;
  try {
    file.transact(() => file.database.prepare("UPDATE meta SET n = ?").run(n));
  } catch (error) {
    if (!isFull(error) || !countInPlace(starts, journal, n)) throw error;
    return n;
  }
  keepStarts(starts, journal, n);
  return n;
}

function startsOf(path: string): string {
  return join(dirname(path), "journal.starts");
}

function fileOf(path: string, database: DatabaseSync): Omit<JournalFile, "n"> {
  return {
    path,
    database,
    transact: (work) => {
      database.exec("BEGIN IMMEDIATE");
      try {
        work();
        database.exec("COMMIT");
      } catch (error) {
        // A full disk has rolled it back already.
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
    },
    close: () => {
      if (database.isOpen) database.close();
    },
  };
}

function makeTables(file: Omit<JournalFile, "n">, wall: number, highestTerm: number): void {
  file.transact(() => {
    file.database.exec(tables);
    file.database.prepare("INSERT INTO meta VALUES (?, 0, ?, 0, 1, ?, 0, NULL)").run(shortId(), highestTerm, wall);
  });
}

function upgrade(file: Omit<JournalFile, "n">): void {
  for (;;) {
    const text = upgrades[versionOf(file.database)];
    if (text === undefined) return;
    file.transact(() => file.database.exec(text));
  }
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
}

function checkVersion(path: string, database: DatabaseSync): void {
  const version = versionOf(database);
  if (version > tablesVersion) {
    throw new Error(
      `${path} has version ${version}, and this Muster knows up to ${tablesVersion}: start the newer Muster that wrote it, or give this worker another data folder`,
    );
  }
}

/** A page that went bad is found here, and not in the middle of a run. */
function checkContent(database: DatabaseSync): void {
  const check = String(Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})[0]);
  if (check !== "ok") throw new Unreadable(check);
  const { metas, bad } = database
    .prepare(
      `SELECT (SELECT count(*) FROM meta) AS metas,
         (SELECT count(*) FROM ledger WHERE NOT json_valid(entry)) + (SELECT count(*) FROM reports WHERE NOT json_valid(body)) AS bad`,
    )
    .get() as { metas: number; bad: number };
  if (metas !== 1 || bad !== 0) throw new Unreadable(`${metas} heads and ${bad} unreadable rows`);
  for (const row of database.prepare("SELECT attempt, entry FROM ledger").iterate())
    openRow(row["attempt"] as string, row["entry"] as string);
  for (const row of database.prepare("SELECT seq, attempt, body FROM reports").iterate())
    openRow(reportKey(row["seq"] as number, row["attempt"] as string), row["body"] as string);
}

/** Renames the file and what SQLite keeps beside it to `<file>.<why>-<n>`; keeps the newest few. */
function moveAside(path: string, why: string): string {
  const folder = dirname(path);
  const prefix = path.slice(folder.length + 1) + `.${why}-`;
  const numbers = readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number.parseInt(name.slice(prefix.length), 10))
    .filter(Number.isSafeInteger);
  const next = Math.max(0, ...numbers) + 1;
  const aside = join(folder, `${prefix}${next}`);
  // The database first: a crash in between leaves a WAL alone, which SQLite drops; a database without its WAL would be an older copy.
  renameSync(path, aside);
  for (const beside of ["-wal", "-shm"]) if (existsSync(path + beside)) renameSync(path + beside, aside + beside);
  for (const number of new Set(numbers)) {
    if (number > next - workerLimits.journalsAside) continue;
    for (const beside of ["", "-wal", "-shm"]) rmSync(join(folder, `${prefix}${number}${beside}`), { force: true });
  }
  return aside;
}

function said(error: unknown): string {
  return boundedSentence(error instanceof Error ? error.message : String(error));
}
