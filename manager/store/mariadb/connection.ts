/**
 * Connections to MariaDB: a pool for everyone who looks, and one connection for the leader's commits, made anew after it was
 * lost. Nothing is ever tried twice here: whoever asked knows whether that is safe.
 */
import { createConnection, createPool, type Connection, type PoolConnection, type QueryOptions } from "mysql2";
import type { Value } from "../rows.ts";
import { storeErrorOf } from "./errors.ts";

/** What the URL says. `shown` is the URL for logs and `/health`, without the password. */
export interface MariadbAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly shown: string;
}

/** What a statement came to. `rows` are arrays; `matched` counts rows that an update found, also those it left as they were. */
export interface Answer {
  readonly rows: unknown[][];
  readonly matched: number;
}

/** One connection while it is ours alone. */
export interface Session {
  query(text: string, values?: readonly Value[]): Promise<Answer>;
}

export interface Connections extends AsyncDisposable {
  readonly address: MariadbAddress;
  /** A quarter of the server's `max_allowed_packet`, bytes (rule 19), as read at the last connect. */
  readonly textBytes: number;
  /** One statement on any connection of the pool. */
  read(text: string, values?: readonly Value[]): Promise<unknown[][]>;
  /**
   * Whole texts, without values to fill in, one after the other on the leader's connection; the first that fails is the last
   * that is sent. They are never split over two connections, because together they are one transaction. Calls take turns.
   * Resolves with the last one's answer.
   */
  write(texts: readonly string[] | Generator<string>): Promise<Answer>;
  /** A connection of the pool for the time of the work; it is thrown away when the work rejects, with whatever it had open. */
  session<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** Rejects with a sentence when the server cannot be reached or is none that Muster can use. */
export async function openConnections(url: string): Promise<Connections> {
  const address = parseMariadbUrl(url);
  const options = {
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: address.database,
    charset: "UTF8MB4_BIN",
    rowsAsArray: true,
    supportBigNumbers: true,
    flags: ["FOUND_ROWS", "-IGNORE_SPACE", "-LOCAL_FILES"],
  };
  const pool = createPool({ ...options, connectionLimit: 8 });
  pool.on("connection", (connection) => void prepare(connection as unknown as Connection).catch(() => connection.destroy()));
  let writer: Connection | undefined;
  const connectWriter = async (): Promise<Connection> => {
    const made = createConnection(options);
    made.on("error", () => {
      if (writer === made) writer = undefined;
    });
    await prepare(made);
    writer = made;
    return made;
  };
  const taken = (): Promise<PoolConnection> =>
    new Promise((resolve, reject) => pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection))));
  const session = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    const connection = await guard(taken());
    try {
      const done = await work({ query: (text, values = []) => guard(ask(connection, text, values)) });
      connection.release();
      return done;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  };
  const [size] = await session(async (one) => (await one.query("SELECT @@max_allowed_packet")).rows);
  return {
    address,
    textBytes: Math.floor(Number(size?.[0]) / 4),
    session,
    read: async (text, values = []) => await session(async (one) => (await one.query(text, values)).rows),
    write: async (texts) =>
      await guard(
        (async () => {
          const connection = writer ?? (await connectWriter());
          let last: Answer = { rows: [], matched: 0 };
          for (const text of texts) last = await ask(connection, text, []);
          return last;
        })(),
      ),
    [Symbol.asyncDispose]: async () => {
      writer?.destroy();
      await new Promise<void>((resolve) => pool.end(() => resolve()));
    },
  };
}

/** Reads `mysql://user:password@host:port/database`. Throws a sentence that never shows the password. */
export function parseMariadbUrl(url: string): MariadbAddress {
  const parsed = new URL(url);
  const port = Number(parsed.port || 3306);
  const user = decodeURIComponent(parsed.username);
  const database = decodeURIComponent(parsed.pathname.slice(1));
  return {
    host: parsed.hostname,
    port,
    user,
    password: decodeURIComponent(parsed.password),
    database,
    shown: `mysql://${user}@${parsed.hostname}:${port}/${database}`,
  };
}

async function prepare(connection: Connection): Promise<void> {
  await ask(
    connection,
    "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', idle_write_transaction_timeout = 3, innodb_lock_wait_timeout = 3",
    [],
  );
}

async function guard<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw storeErrorOf(error, true);
  }
}

function ask(connection: Connection, text: string, values: readonly Value[]): Promise<Answer> {
  const options: QueryOptions = values.length === 0 ? { sql: text } : { sql: text, values: [...values] };
  return new Promise((resolve, reject) => {
    connection.query(options, (error, result) => {
      if (error) reject(error);
      else if (Array.isArray(result)) resolve({ rows: result as unknown[][], matched: 0 });
      else resolve({ rows: [], matched: result.affectedRows });
    });
  });
}
