/**
 * What an error of MariaDB means (rule 19). Numbers and names are the server's own
 * (https://mariadb.com/kb/en/mariadb-error-code-reference/); those below 1000 are of its file layer.
 */
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import { StoreError } from "../store.ts";

/** What the server says of the rows themselves: no later try can hold. */
const ofTheRows: ReadonlyMap<number, string> = new Map([
  [1022, "against a constraint"], // ER_DUP_KEY
  [1048, "against a constraint"], // ER_BAD_NULL_ERROR
  [1062, "against a constraint"], // ER_DUP_ENTRY
  [1071, "too large"], // ER_TOO_LONG_KEY
  [1118, "too large"], // ER_TOO_BIG_ROWSIZE
  [1153, "too large"], // ER_NET_PACKET_TOO_LARGE
  [1216, "against a constraint"], // ER_NO_REFERENCED_ROW
  [1217, "against a constraint"], // ER_ROW_IS_REFERENCED
  [1263, "against a constraint"], // ER_WARN_NULL_TO_NOTNULL
  [1264, "of the wrong type"], // ER_WARN_DATA_OUT_OF_RANGE
  [1265, "of the wrong type"], // WARN_DATA_TRUNCATED
  [1292, "of the wrong type"], // ER_TRUNCATED_WRONG_VALUE
  [1300, "of the wrong type"], // ER_INVALID_CHARACTER_STRING
  [1301, "too large"], // ER_WARN_ALLOWED_PACKET_OVERFLOWED
  [1364, "against a constraint"], // ER_NO_DEFAULT_FOR_FIELD
  [1366, "of the wrong type"], // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
  [1367, "of the wrong type"], // ER_ILLEGAL_VALUE_FOR_TYPE
  [1406, "too large"], // ER_DATA_TOO_LONG
  [1451, "against a constraint"], // ER_ROW_IS_REFERENCED_2
  [1452, "against a constraint"], // ER_NO_REFERENCED_ROW_2
  [1586, "against a constraint"], // ER_DUP_ENTRY_WITH_KEY_NAME
  [1690, "of the wrong type"], // ER_DATA_OUT_OF_RANGE
  [1713, "too large"], // ER_UNDO_RECORD_TOO_BIG
  [4025, "against a constraint"], // ER_CONSTRAINT_FAILED
]);

/** What passes, by itself or by an operator's hand. */
const passing: ReadonlyMap<number, string> = new Map([
  ...each("its disk is full", [1021, 1114]), // ER_DISK_FULL, ER_RECORD_FILE_FULL
  ...each("its disk cannot be used", [1016, 1017, 1023, 1024, 1026, 1028, 1194, 1195, 1932]),
  ...each("it is read-only", [1036, 1207, 1223, 1290, 1792, 1836]),
  ...each("it has too many connections", [1040, 1135, 1203, 1226, 1637]),
  ...each("it is shutting down", [1053, 1077, 1079]),
  ...each(
    "the connection is broken",
    [1042, 1043, 1080, 1129, 1152, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1835, 1927],
  ),
  // ER_CHECKREAD is what a server says whose transactions keep their snapshot (the default from 11.6 on); 1047: Galera, not ready.
  ...each("a row or a table is locked", [1020, 1099, 1100, 1192, 1205, 1206, 1213, 1412, 1613, 1614, 1615]),
  ...each("its cluster is not ready", [1047]),
  ...each("it is out of memory", [1037, 1038, 1041]),
  ...each("the statement was interrupted", [1180, 1181, 1317, 1402, 1969]),
  // An operator changed the account or the schema, and has to change it back. No row is at fault.
  ...each("this account may not do that", [1044, 1045, 1130, 1142, 1143, 1227, 1251, 1275, 1370, 1698, 1820, 1862, 4151]),
  ...each("its tables are not there", [1049, 1051, 1054, 1146]),
]);

/** What an operator may do about it, for `/health` and the log. What is not here says enough by itself. */
const advice: ReadonlyMap<string, string> = new Map([
  ["its disk is full", "make room there, and it goes on"],
  [
    "it is read-only",
    "it may be a replica: set read_only=OFF there, or have MUSTER_DATABASE_URL lead to the server that takes writes",
  ],
  [
    "it has too many connections",
    `raise its max_connections, or end what holds them; a manager takes up to ${mariadbLimits.connections}`,
  ],
  ["this account may not do that", "grant the account what it had, with the password of MUSTER_DATABASE_URL"],
  ["its tables are not there", "is it the right server and database? A manager that is started makes the tables"],
  ["the proxy before it does not reach it", "look at the proxy's own log"],
]);

/** Where nobody answers there is no number to go by. */
const silentAdvice = "does it run, and does its address answer from here?";

/** After these another server may be the one that takes writes now: whoever keeps connections makes new ones. */
const movedNumbers: ReadonlySet<number> = new Set([1036, 1047, 1053, 1077, 1079, 1290, 1836, 1927]);

/**
 * After these the block's own rollback is in doubt: no exit handler sees a killed statement or a `COMMIT` that failed, and a
 * kill may come between the commit and the answer.
 */
const unsettled: ReadonlySet<number> = new Set([1053, 1077, 1079, 1080, 1152, 1180, 1181, 1184, 1317, 1402, 1927, 1969]);

/** At a manager's start: what an operator has to mend. Waiting would only hide it. */
const refusals: ReadonlySet<number> = new Set([1044, 1045, 1049, 1130, 1251, 1275, 1698, 1820, 1862, 4151]);

/** What MySQL and old releases say to our settings: a variable, a collation or a character set that they do not have. */
const strangers: ReadonlySet<number> = new Set([1115, 1193, 1231, 1253, 1273]);

/** Node's, for what it cannot put into a text or a packet. */
const valueCodes: ReadonlySet<string> = new Set(["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE", "ERR_OUT_OF_RANGE"]);

/** What mysql2 puts on an error: `errno` from the server, `code` also from the network and from itself. */
interface DriverError {
  readonly errno?: unknown;
  readonly code?: unknown;
  /** The connection is gone with it. */
  readonly fatal?: unknown;
  readonly message: string;
}

/**
 * The `StoreError` that an error of the driver amounts to. `sent`: the text may have reached the server, so that without an
 * answer nobody knows what became of it. Errors of codes that nobody classified come back as they are (without the statement's
 * text, which mysql2 hangs on them): whoever commits counts them.
 */
export function storeErrorOf(error: unknown, sent = true): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  // The text of a commit holds everything that its rows hold; it belongs in no log line.
  delete (error as { sql?: unknown }).sql;
  const told = error as DriverError;
  if (typeof told.code === "string" && valueCodes.has(told.code))
    return new StoreError("permanent", true, `A value cannot be stored: ${told.message}`, { cause: error });
  if (!isAnswer(told)) {
    // A bug of ours throws too; to call it the network's fault would be to try it for ever.
    if (typeof told.code !== "string" && told.fatal !== true) return error;
    return new StoreError("transient", !sent, `The database does not answer: ${reasonOf(told)}; ${silentAdvice}`, {
      cause: error,
    });
  }
  const number = told.errno;
  const ofRow = ofTheRows.get(number) ?? ofEngineError(number, told.message, rowEngineErrors);
  if (ofRow !== undefined) return new StoreError("permanent", true, `A row is ${ofRow}: ${told.message}`, { cause: error });
  const passes =
    passing.get(number) ?? ofFileLayer(number) ?? ofProxy(number) ?? ofEngineError(number, told.message, passingEngineErrors);
  if (passes === undefined) return error;
  const known = !sent || !(unsettled.has(number) || ofProxy(number) !== undefined);
  const hint = advice.has(passes) ? `; ${advice.get(passes)}` : "";
  return new StoreError("transient", known, `The database cannot do it now, ${passes}: ${told.message}${hint}`, { cause: error });
}

/**
 * Whether connections that were made before this error may lead to a server that is not the one any more: it went away, fell
 * silent, or became read-only. `error` is what `storeErrorOf` made.
 */
export function mayHaveMoved(error: unknown): boolean {
  if (!(error instanceof StoreError) || !(error.cause instanceof Error)) return false;
  const told = error.cause as DriverError;
  if (isAnswer(told)) return movedNumbers.has(told.errno) || ofProxy(told.errno) !== undefined;
  return error.kind === "transient";
}

/** Why the server will not have us, whatever we wait: account, password, database, TLS. Undefined: worth waiting for. */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const told = error as DriverError;
  if (isAnswer(told)) {
    if (strangers.has(told.errno)) return `it is no MariaDB of version 10.6 or newer: ${told.message}`;
    return refusals.has(told.errno) ? told.message : undefined;
  }
  switch (told.code) {
    case "HANDSHAKE_NO_SSL_SUPPORT":
      return "it does not offer TLS, and tlsCa asks for it";
    case "HANDSHAKE_SSL_ERROR":
      // A network that broke in the handshake says nothing of the server.
      return isBroken(told) ? undefined : `it cannot be verified: ${told.message}`;
    case "AUTH_SWITCH_PLUGIN_ERROR":
      return told.message;
    default:
      return undefined;
  }
}

function isAnswer(error: DriverError): error is DriverError & { readonly errno: number } {
  return typeof error.errno === "number" && error.errno > 0;
}

function isBroken(error: DriverError): boolean {
  return /ECONNRESET|EPIPE|ETIMEDOUT|socket disconnected|socket hang up|closed/i.test(error.message);
}

function reasonOf(error: DriverError): string {
  if (error.code === "PROTOCOL_SEQUENCE_TIMEOUT") return "it took the statement and said nothing in time";
  // A host with several addresses fails with one error for each of them.
  const { errors } = error as { readonly errors?: readonly { readonly message?: string }[] };
  return (
    // Behind it comes more of the sentence.
    error.message.replace(/\.$/, "") ||
    errors?.map((one) => one.message).join("; ") ||
    (typeof error.code === "string" ? error.code : "the connection failed")
  );
}

/** Numbers of the storage engine (my_base.h, HA_ERR_…) and of the system, which 1030 carries in its text. */
const rowEngineErrors: ReadonlyMap<number, string> = new Map([[139, "too large"]]);
const passingEngineErrors: ReadonlyMap<number, string> = new Map([
  ...each("its disk is full", [28, 122, 135]),
  ...each("its disk cannot be used", [5, 13, 27, 30]),
  ...each("it is out of memory", [11, 12, 128]),
  ...each("a row or a table is locked", [123, 146, 147, 149]),
  ...each("it is read-only", [165]),
]);

/** EE_WRITE and its kin (include/mysys_err.h): the server met them in its own files. 5 is EE_OUTOFMEMORY, 20 EE_DISK_FULL. */
function ofFileLayer(number: number): string | undefined {
  if (number > 40) return undefined;
  return number === 20 ? "its disk is full" : number === 5 ? "it is out of memory" : "its disk cannot be used";
}

/**
 * What a proxy says for a server that it does not reach: the numbers of the client's library (errmsg.h, CR_…: 2002, 2006, 2013 …),
 * as MaxScale and ProxySQL pass them on, and ProxySQL's own (https://proxysql.com/documentation/error-codes).
 */
function ofProxy(number: number): string | undefined {
  return (number >= 2_000 && number < 2_100) || (number >= 9_001 && number <= 9_006)
    ? "the proxy before it does not reach it"
    : undefined;
}

/** ER_GET_ERRNO, "Got error 28 "No space left on device" from storage engine InnoDB". */
function ofEngineError(number: number, message: string, meanings: ReadonlyMap<number, string>): string | undefined {
  return number === 1030 ? meanings.get(Number(/\b(\d+)\b/.exec(message)?.[1])) : undefined;
}

function each(meaning: string, numbers: readonly number[]): [number, string][] {
  return numbers.map((number) => [number, meaning]);
}
