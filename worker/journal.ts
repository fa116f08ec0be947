/**
 * The worker's journal: its ledger of attempts, its unacknowledged reports, its highest term and ack, in one SQLite file.
 * Every write is one transaction that is on the disk when the call returns, because what follows it is a process that runs
 * or a message that somebody will believe (rules 2, 3, 12, 15, 23).
 */
import { join } from "node:path";
import type { StatementSync } from "node:sqlite";
import { workerLimits } from "../schema/limits.ts";
import type { DurableJournal } from "./agent/held-hello.ts";
import type { JournalMeta, JournalWrite, LedgerEntry, StoredReport } from "./agent/records.ts";
import { openFile, readMeta, replaceFile, type JournalFile } from "./journal-file.ts";
import { openRow, reportKey, sealRow } from "./journal-rows.ts";
import { reserveIn } from "./reserve.ts";
import { isFull } from "./sqlite-errors.ts";

export interface Journal {
  /** As this agent found it, with its own start counted. */
  readonly meta: JournalMeta;
  /** Sentences for the log about what was found at the opening: a corrupt file moved aside. */
  readonly notes: readonly string[];
  /** Whether the reserve is held. While it is not, the last room of the disk is for ends, and starts are refused (rule 26). */
  readonly room: boolean;
  /** What is on the disk now, to be read before the next write. */
  durable(): DurableJournal;
  /** The whole ledger. */
  entries(): LedgerEntry[];
  /** Unacknowledged reports in order of seq. */
  reports(): StoredReport[];
  /** Makes all of it durable, or none of it: throws `JournalFull` when the disk has no room even without the reserve. */
  write(writes: readonly JournalWrite[]): void;
  /** Moves the file aside and begins a new journal with a new id (rule 1); the highest term obeyed goes with it. */
  newJournal(): JournalMeta;
  close(): void;
}

/** The disk has no room for what must be written. Nothing of it was; the same writes may be tried again. */
export class JournalFull extends Error {
  override readonly name = "JournalFull";
}

/**
 * Opens, or makes, `journal.db` in the folder and counts this start (rule 1) durably before it returns. Throws with a
 * sentence when the file is of a newer Muster or cannot be opened; a malformed one is moved aside, with a note.
 */
export function openJournal(folder: string, now: { readonly wall: number }): Journal {
  const path = join(folder, "journal.db");
  const reserve = reserveIn(join(folder, "journal.reserve"), workerLimits.journalReserveBytes);
  const notes: string[] = [];
  let file = whenFull(path, reserve, () => openFile(path, now.wall, notes));
  let verbs = prepare(file);
  let meta = { ...readMeta(file), n: file.n };
  // A start that was counted beside the journal, for want of room, goes into it with the first write.
  let isCounted = readMeta(file).n === file.n;
  reserve.take();

  return {
    get meta() {
      return meta;
    },
    notes,
    get room() {
      return reserve.held;
    },
    durable: () => ({
      meta: readMeta(file),
      entry: (attempt) => {
        const row = verbs.entry.get(attempt);
        return row && storedEntry(row);
      },
    }),
    entries: () => verbs.entries.all().map(storedEntry),
    reports: () => verbs.reports.all().map(storedReport),
    write: (writes) => {
      whenFull(path, reserve, () =>
        file.transact(() => {
          if (!isCounted) verbs.setStarts.run(file.n);
          writes.forEach((write) => apply(verbs, write));
        }),
      );
      isCounted = true;
      if (!reserve.held) reserve.take();
    },
    newJournal: () => {
      file = whenFull(path, reserve, replaceFile(file, now.wall));
      verbs = prepare(file);
      meta = { ...readMeta(file), n: file.n };
      isCounted = true;
      return meta;
    },
    close: () => file.close(),
  };
}

interface Verbs {
  readonly entries: StatementSync;
  readonly entry: StatementSync;
  readonly reports: StatementSync;
  readonly putEntry: StatementSync;
  readonly putReport: StatementSync;
  readonly dropAcked: StatementSync;
  readonly forget: StatementSync;
  readonly setForgotten: StatementSync;
  readonly setUnheard: StatementSync;
  readonly setMeta: StatementSync;
  readonly setStarts: StatementSync;
}

function prepare({ database }: JournalFile): Verbs {
  return {
    entries: database.prepare("SELECT attempt, entry FROM ledger"),
    entry: database.prepare("SELECT attempt, entry FROM ledger WHERE attempt = ?"),
    reports: database.prepare("SELECT seq, attempt, body FROM reports ORDER BY seq"),
    putEntry: database.prepare(
      "INSERT INTO ledger (attempt, entry) VALUES (?, ?) ON CONFLICT (attempt) DO UPDATE SET entry = excluded.entry",
    ),
    putReport: database.prepare("INSERT INTO reports (seq, attempt, body) VALUES (?, ?, ?)"),
    dropAcked: database.prepare("DELETE FROM reports WHERE seq <= ?"),
    forget: database.prepare("DELETE FROM ledger WHERE attempt = ?"),
    setForgotten: database.prepare("UPDATE meta SET forgotten_seq = max(forgotten_seq, ?)"),
    setUnheard: database.prepare("UPDATE meta SET unheard_seq = ?"),
    setStarts: database.prepare("UPDATE meta SET n = ?"),
    // Terms and acks only rise, whatever the order in which two steps name them.
    setMeta: database.prepare(
      "UPDATE meta SET highest_term = max(highest_term, ?), highest_ack = max(highest_ack, ?), next_seq = max(next_seq, ?)",
    ),
  };
}

function apply(verbs: Verbs, write: JournalWrite): void {
  switch (write.write) {
    case "meta":
      verbs.setMeta.run(write.set.highestTerm ?? 0, write.set.highestAck ?? 0, write.set.nextSeq ?? 0);
      return;
    case "entry":
      verbs.putEntry.run(write.entry.attempt, sealRow(write.entry.attempt, JSON.stringify(write.entry)));
      return;
    case "report":
      putReport(verbs, write.report);
      return;
    case "acked":
      verbs.dropAcked.run(write.seq);
      return;
    case "forget":
      for (const attempt of write.attempts) verbs.forget.run(attempt);
      verbs.setForgotten.run(write.upTo);
      return;
    case "unheard":
      verbs.setUnheard.run(write.seq);
      return;
  }
}

function putReport(verbs: Verbs, { seq, attempt, body }: StoredReport): void {
  verbs.putReport.run(seq, attempt, sealRow(reportKey(seq, attempt), body));
}

function storedEntry(row: Readonly<Record<string, unknown>>): LedgerEntry {
  return JSON.parse(openRow(row["attempt"] as string, row["entry"] as string)) as LedgerEntry;
}

function storedReport(row: Readonly<Record<string, unknown>>): StoredReport {
  const [seq, attempt] = [row["seq"] as number, row["attempt"] as string];
  return { seq, attempt, body: openRow(reportKey(seq, attempt), row["body"] as string) };
}

/** Does it; when the disk is full, once more in the room of the reserve. */
function whenFull<T>(path: string, reserve: { readonly held: boolean; letGo(): void }, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isFull(error)) throw error;
    if (!reserve.held) throw full(path, error);
  }
  reserve.letGo();
  try {
    return work();
  } catch (error) {
    throw isFull(error) ? full(path, error) : error;
  }
}

function full(path: string, cause: unknown): JournalFull {
  return new JournalFull(`the disk of ${path} is full: the worker's journal cannot be written, free some room there`, { cause });
}
