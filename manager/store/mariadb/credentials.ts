/**
 * Credentials in tables, so that they are the same at every manager (decision 015). Who changes them locks one row, whose version
 * rises with every change; who checks them asks for that version once a second and reads everything when it is another.
 */
import { readFileSync, renameSync } from "node:fs";
import type { CredentialBook } from "../../../broker/credential-book.ts";
import { checkAgainst, lookupOf, type Credentials, type Lookup } from "../../../broker/credentials-check.ts";
import {
  checkedContent,
  withAllOf,
  type CredentialsChange,
  type CredentialsContent,
} from "../../../broker/credentials-content.ts";
import { parseCredentials } from "../../../broker/credentials-file.ts";
import { sha256Hex } from "../../../schema/digest.ts";
import { pause } from "../../../schema/kit/backoff.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import { codecsOfCredentials, differences } from "./credential-rows.ts";
import type { Connections, Session } from "./connection.ts";

const codecs = codecsOfCredentials();
const versionText = "SELECT `version` FROM `credential_changes` WHERE `id` = 1";
const lookText = "SELECT `version`, @@read_only FROM `credential_changes` WHERE `id` = 1";

interface Read {
  readonly version: number;
  readonly content: CredentialsContent;
}

/** The book in the tables of a database that `migrate` has made. */
export function mariadbBook(connections: Connections): CredentialBook {
  return {
    where: `the database ${connections.address.shown}`,
    read: async () => (await read(connections)).content,
    change: async (change) => await changeIn(connections, change),
  };
}

/** The credentials as a manager checks them: what it knew last while the database is away. `close` ends the looking for news. */
export async function openMariadbCredentials(
  connections: Connections,
  lookEveryMs: number = mariadbLimits.credentialsLookMs,
): Promise<{ readonly book: CredentialBook; readonly verify: Credentials; close(): void }> {
  const book = mariadbBook(connections);
  let known = await read(connections);
  let lookup: Lookup = lookupOf(known.content);
  let tookWrites = true;
  const lookOnce = async (): Promise<void> => {
    const [row] = await connections.read(lookText);
    // A manager that follows writes nothing, so nothing else would tell it that its server has become a replica.
    if (tookWrites && Number(row?.[1]) === 1) connections.renew();
    tookWrites = Number(row?.[1]) !== 1;
    if (Number(row?.[0]) === known.version) return;
    known = await read(connections);
    lookup = lookupOf(known.content);
  };
  let last: Promise<void> = Promise.resolve();
  // One after the other: of two at once the older could end last.
  const look = (): Promise<void> => (last = last.catch(() => undefined).then(lookOnce));
  const ending = new AbortController();
  void (async () => {
    for (;;) {
      await pause(lookEveryMs, ending.signal);
      if (ending.signal.aborted) return;
      // While the database is away nobody can be let in or revoked; everything else that needs it says so.
      await look().catch(() => undefined);
    }
  })();
  return {
    book: {
      ...book,
      change: async (change) => {
        const result = await book.change(change);
        // What was changed here holds here at once. It was changed also when that look fails; a later one sees it.
        await look().catch(() => undefined);
        return result;
      },
    },
    verify: checkAgainst(() => lookup),
    close: () => ending.abort(),
  };
}

/** One moment of all tables. */
async function read(connections: Connections): Promise<Read> {
  return await connections.session(async (session) => {
    await session.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
    const found = await readIn(session, versionText);
    await session.query("COMMIT");
    return found;
  });
}

async function readIn(session: Session, versionQuery: string): Promise<Read> {
  const [version = []] = (await session.query(versionQuery)).rows;
  const tokens = (await session.query(codecs.tokens.select)).rows.map(codecs.tokens.decode);
  const clients = (await session.query(`${codecs.clients.select} ORDER BY \`username\``)).rows.map(codecs.clients.decode);
  return { version: Number(version[0]), content: { tokens, clients } };
}

async function changeIn<T>(connections: Connections, change: CredentialsChange<T>): Promise<T> {
  return await connections.session(async (session) => {
    await session.query("START TRANSACTION");
    const result = await applyIn(session, change, connections.address.shown);
    await session.query("COMMIT");
    return result;
  });
}

/** In an open transaction; a change that throws ends it with its connection. */
async function applyIn<T>(session: Session, change: CredentialsChange<T>, where: string): Promise<T> {
  const { content } = await readIn(session, `${versionText} FOR UPDATE`);
  const [next, result] = change(content);
  const statements = differences(content, checkedContent(where, next));
  for (const { text, values } of statements) await session.query(text, values);
  if (statements.length > 0) await session.query("UPDATE `credential_changes` SET `version` = `version` + 1 WHERE `id` = 1");
  return result;
}

export interface TakenOver {
  readonly tokens: number;
  readonly clients: number;
  /** Entries that the tables had already; theirs stayed as they were. */
  readonly known: number;
  /** Where the file is now; null when it could not be moved. It is never taken over again either way. */
  readonly movedTo: string | null;
}

/**
 * Takes a file of credentials over into the tables, once: it is moved aside, and an old copy of it that is put back brings
 * nothing that was revoked since. Undefined when there is no such file. Rejects with a sentence when it is damaged.
 */
export async function takeOverFile(connections: Connections, file: string): Promise<TakenOver | undefined> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`the credentials file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const content = parseCredentials(file, text);
  const digest = sha256Hex(text);
  const nothing = { tokens: 0, clients: 0, known: content.tokens.length + content.clients.length };
  const added = await connections.session(async (session) => {
    await session.query("START TRANSACTION");
    await session.query(`${versionText} FOR UPDATE`);
    const before = await session.query("SELECT 1 FROM `credential_files` WHERE `sha256` = ?", [digest]);
    const taken = before.rows.length > 0 ? nothing : await applyIn(session, withAllOf(content), connections.address.shown);
    if (before.rows.length === 0) await session.query("INSERT INTO `credential_files` (`sha256`) VALUES (?)", [digest]);
    await session.query("COMMIT");
    return taken;
  });
  return { ...added, movedTo: movedAside(file) };
}

function movedAside(file: string): string | null {
  const aside = `${file}.taken-over`;
  try {
    renameSync(file, aside);
    return aside;
  } catch {
    return null; // A folder that may not be written to. The digest is what counts.
  }
}
