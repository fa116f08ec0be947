/** One connection to MariaDB: made, given its settings, asked one thing after the other, and thrown away at the first error. */
import { connect, isIP, type Socket } from "node:net";
import { createConnection, type Connection, type ConnectionOptions, type SslOptions } from "mysql2";
import { processClock } from "../../../schema/kit/clock.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import type { Value } from "../rows.ts";
import type { MariadbAddress } from "./address.ts";
import { StoreError } from "../store.ts";
import { storeErrorOf } from "./errors.ts";

/** What a statement came to. `rows` are arrays; `matched` counts rows that an update found, also those it left as they were. */
export interface Answer {
  readonly rows: unknown[][];
  readonly matched: number;
}

export interface Link {
  /** False once it has failed or was closed by either side. */
  readonly usable: boolean;
  /** True once it was kept for as long as one may be: whoever is about to use it makes another. */
  readonly outworn: boolean;
  /** The server's `max_allowed_packet`, bytes. */
  readonly packetBytes: number;
  /**
   * Rejects as `storeErrorOf` has it; an answer that does not come within `withinMs` is one that nobody knows. After an error
   * the link is gone: a statement that was cut short may have left its transaction open, and the next `START TRANSACTION` on the
   * connection would commit half of it.
   */
  ask(text: string, values: readonly Value[], withinMs: number): Promise<Answer>;
  /** Breaks it off; a statement in flight rejects. */
  close(): void;
  /** Says goodbye, when nothing is in flight. */
  leave(): void;
}

/**
 * What every session is given before its first use (rules 17, 19 and 21), whatever the server's own defaults are: strict
 * types, backslashes that escape (mysql2 relies on it), no folding of case or blanks, and no lock that a stopped process keeps.
 */
const settings = [
  "sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
  "tx_isolation = 'REPEATABLE-READ', autocommit = 1, completion_type = 'NO_CHAIN'",
  "unique_checks = 1, foreign_key_checks = 1, sql_safe_updates = 0, sql_select_limit = DEFAULT, sql_auto_is_null = 0",
  `idle_write_transaction_timeout = ${mariadbLimits.idleWriteTransactionSeconds}`,
  `innodb_lock_wait_timeout = ${mariadbLimits.lockWaitSeconds}, lock_wait_timeout = ${mariadbLimits.tableLockWaitSeconds}`,
].join(", ");

export interface OpenLinkOptions {
  readonly connectMs?: number;
  /** How long it may be kept. */
  readonly keptMs?: number;
}

/**
 * Connects; `readsOnly` adds what spares the server a statement that nobody awaits any more. Rejects with a transient
 * `StoreError` whose outcome is known; its cause is the driver's error.
 */
export async function openLink(
  address: MariadbAddress,
  ssl: SslOptions | undefined,
  readsOnly: boolean,
  { connectMs = mariadbLimits.connectMs, keptMs = mariadbLimits.linkKeptMs }: OpenLinkOptions = {},
): Promise<Link> {
  const socket = openSocket(address);
  const connection = createConnection({ ...optionsOf(address, ssl, socket), connectTimeout: connectMs });
  let usable = true;
  // Not mysql2's own `destroy`: it waits for a host that may be gone, and leaves a statement in flight without an answer.
  const drop = (): void => {
    usable = false;
    socket.destroy();
  };
  // Also after the first one: an error that nobody listens for would end the process.
  connection.on("error", drop);
  socket.on("end", () => (usable = false));
  try {
    await connected(connection);
    const guards = readsOnly ? `, max_statement_time = ${mariadbLimits.readMs / 1_000 - 1}` : "";
    await ask(connection, `SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, ${settings}${guards}`, [], connectMs);
    const { rows } = await ask(connection, "SELECT @@max_allowed_packet, @@read_only", [], connectMs);
    const [packetBytes, readOnly] = (rows[0] ?? []).map(Number);
    const untilMs = processClock.now().mono + (readOnly === 1 ? Math.min(keptMs, mariadbLimits.readOnlyLinkKeptMs) : keptMs);
    return {
      get usable() {
        return usable;
      },
      get outworn() {
        return processClock.now().mono >= untilMs;
      },
      packetBytes: packetBytes ?? 0,
      ask: async (text, values, withinMs) => {
        try {
          return await ask(connection, text, values, withinMs);
        } catch (error) {
          drop();
          throw storeErrorOf(error, true);
        }
      },
      close: drop,
      leave: () => {
        if (!usable) return;
        usable = false;
        connection.end();
        socket.destroySoon();
      },
    };
  } catch (cause) {
    drop();
    delete (cause as { sql?: unknown }).sql;
    const told = storeErrorOf(cause, false);
    const why = told instanceof StoreError ? told.message : `The database refuses its settings: ${String(told)}`;
    throw new StoreError("transient", true, why, { cause });
  }
}

function optionsOf(address: MariadbAddress, ssl: SslOptions | undefined, socket: Socket): ConnectionOptions {
  return {
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: address.database,
    charset: "UTF8MB4_BIN",
    rowsAsArray: true,
    supportBigNumbers: true,
    // FOUND_ROWS, a default: an update counts the rows it found. No server may ask for this host's files.
    flags: ["-IGNORE_SPACE", "-LOCAL_FILES"],
    stream: () => socket,
    ...(ssl ? { ssl } : {}),
  };
}

function openSocket(address: MariadbAddress): Socket {
  const socket = connect({
    host: address.host,
    port: address.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: mariadbLimits.keepAliveMs,
  });
  // Node verifies a certificate against the name that the socket was opened with, and against "localhost" when that was an
  // address: one for localhost would be good enough for any server, and one for the address never.
  if (isIP(address.host) !== 0) Object.assign(socket, { _host: address.host });
  return socket;
}

function connected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
}

function ask(connection: Connection, text: string, values: readonly Value[], withinMs: number): Promise<Answer> {
  const options = { sql: text, timeout: withinMs, ...(values.length === 0 ? {} : { values: [...values] }) };
  return new Promise((resolve, reject) => {
    connection.query(options, (error, result) => {
      if (error) reject(error);
      else if (Array.isArray(result)) resolve({ rows: result as unknown[][], matched: 0 });
      else resolve({ rows: [], matched: result.affectedRows });
    });
  });
}
