import { describe, expect, test } from "vitest";
import { judge, type Settings } from "../../../../manager/store/mariadb/check.ts";
import { mayHaveMoved, refusalOf, storeErrorOf } from "../../../../manager/store/mariadb/errors.ts";
import { StoreError } from "../../../../manager/store/store.ts";

/** As mysql2 throws it: with the number of the server, and the text that was sent. */
function answer(errno: number, message = "what the server says"): Error {
  return Object.assign(new Error(message), {
    errno,
    code: "ER_SOME",
    sqlState: "HY000",
    sql: "INSERT of all that the rows hold",
  });
}

/** As mysql2 throws what it did not hear from the server. */
function broken(code: string, message = code): Error {
  return Object.assign(new Error(message), { code, fatal: true });
}

describe("what an error of MariaDB means (rule 19)", () => {
  test.each([
    1021, 1114, 1026, 1040, 1047, 1053, 1142, 1146, 1158, 1180, 1203, 1205, 1206, 1213, 1223, 1290, 1317, 1792, 1836, 1927, 1969,
    1020, 3, 20, 28,
  ])("%i is transient, however often", (errno) => {
    for (let times = 0; times < 5; times += 1) expect(storeErrorOf(answer(errno), true)).toMatchObject({ kind: "transient" });
  });

  test.each([1048, 1062, 1118, 1153, 1264, 1301, 1364, 1366, 1406, 1452, 1586, 1690, 4025])(
    "%i is permanent, and known",
    (errno) => {
      expect(storeErrorOf(answer(errno), true)).toMatchObject({ kind: "permanent", outcomeKnown: true });
    },
  );

  test.each([
    [28, "No space left on device", "transient"],
    [122, "Disk quota exceeded", "transient"],
    [5, "Input/output error", "transient"],
    [146, "Lock timed out", "transient"],
    [139, "Too big row", "permanent"],
  ])("the storage engine's error %i (%s) is %s", (number, text, kind) => {
    expect(storeErrorOf(answer(1030, `Got error ${number} "${text}" from storage engine InnoDB`), true)).toMatchObject({ kind });
  });

  test.each([1064, 1105, 1030, 30_001, 30_002, 65_000])("%i is nobody's: it comes back as it is, to be counted", (errno) => {
    const error = answer(errno, 'Got error 999 "Unheard of" from storage engine InnoDB');
    expect(storeErrorOf(error, true)).toBe(error);
  });

  test.each([
    [2002, "Can't connect to local server"],
    [2003, "Lost connection to backend server: network error"],
    [2006, "MySQL server has gone away"],
    [2013, "Lost connection to server during query"],
    [9001, "Max connect timeout reached while reaching hostgroup 1 after 10000ms"],
    [9002, "Max connect failure while reaching hostgroup 1"],
    [9004, "Backend Offline Detected"],
  ])("%i (%s) is a proxy that does not reach the server: it passes, and nobody knows what was on its way", (errno, text) => {
    const error = storeErrorOf(answer(errno, text), true);
    expect(error).toMatchObject({ kind: "transient", outcomeKnown: false });
    expect(storeErrorOf(answer(errno, text), false)).toMatchObject({ kind: "transient", outcomeKnown: true });
    expect(String(error)).toContain(`the proxy before it does not reach it: ${text}; look at the proxy's own log`);
    expect(mayHaveMoved(error)).toBe(true);
  });

  test("connections are made anew after what may mean another server, and after nothing else", () => {
    for (const errno of [1036, 1047, 1053, 1290, 1836, 1927])
      expect(mayHaveMoved(storeErrorOf(answer(errno))), String(errno)).toBe(true);
    for (const code of ["PROTOCOL_CONNECTION_LOST", "ECONNRESET", "PROTOCOL_SEQUENCE_TIMEOUT"])
      expect(mayHaveMoved(storeErrorOf(broken(code))), code).toBe(true);
    for (const errno of [1040, 1062, 1205, 1213, 1406, 1969, 1064])
      expect(mayHaveMoved(storeErrorOf(answer(errno))), String(errno)).toBe(false);
    expect(mayHaveMoved(new Error("of a change that cannot be"))).toBe(false);
    expect(mayHaveMoved(new StoreError("transient", true, "All 2 connections are taken."))).toBe(false);
  });

  test("the outcome is unknown exactly when no answer came, or when the block's own rollback is in doubt", () => {
    const known = (error: unknown, sent = true): unknown => (storeErrorOf(error, sent) as StoreError).outcomeKnown;
    for (const errno of [1062, 1021, 1205, 1213, 1290, 1040]) expect(known(answer(errno)), String(errno)).toBe(true);
    for (const errno of [1053, 1180, 1317, 1927, 1969]) expect(known(answer(errno)), String(errno)).toBe(false);
    for (const code of ["PROTOCOL_CONNECTION_LOST", "ECONNRESET", "EPIPE", "ETIMEDOUT", "PROTOCOL_SEQUENCE_TIMEOUT"]) {
      expect(known(broken(code)), code).toBe(false);
      expect(known(broken(code), false), code).toBe(true);
    }
  });

  test("no error carries the text that was sent, and an error that is classified stays as it is", () => {
    for (const errno of [1062, 1205, 1064]) {
      const error = storeErrorOf(answer(errno), true) as Error;
      for (let at: unknown = error; at instanceof Error; at = at.cause) expect(at).not.toHaveProperty("sql");
    }
    const told = new StoreError("permanent", true, "There is no run r1 to update.");
    expect(storeErrorOf(told, true)).toBe(told);
  });

  test("what the server and the network did not say is a bug: it comes back to be counted, and a value that cannot be written is permanent", () => {
    const bug = new TypeError("x is not a function");
    expect(storeErrorOf(bug, true)).toBe(bug);
    expect(storeErrorOf(Object.assign(new Error("closed"), { fatal: true }), false)).toMatchObject({
      kind: "transient",
      outcomeKnown: true,
    });
    expect(storeErrorOf(broken("ERR_OUT_OF_RANGE"), true)).toMatchObject({ kind: "permanent", outcomeKnown: true });
  });

  test("a host with several addresses is an error that says something", () => {
    const error = Object.assign(new AggregateError([new Error("connect ECONNREFUSED ::1:3306")], ""), { code: "ECONNREFUSED" });
    expect(String(storeErrorOf(error, false))).toMatch(/ECONNREFUSED ::1:3306/);
  });

  test("a manager that starts waits for what passes, and goes for what an operator has to mend", () => {
    for (const errno of [1044, 1045, 1049, 1130, 1698, 1193, 1273]) expect(refusalOf(answer(errno)), String(errno)).toBeDefined();
    for (const errno of [1040, 1053, 1205, 1290]) expect(refusalOf(answer(errno)), String(errno)).toBeUndefined();
    expect(refusalOf(broken("HANDSHAKE_NO_SSL_SUPPORT"))).toMatch(/does not offer TLS/);
    expect(refusalOf(broken("HANDSHAKE_SSL_ERROR", "self-signed certificate"))).toMatch(/cannot be verified/);
    expect(refusalOf(broken("HANDSHAKE_SSL_ERROR", "read ECONNRESET"))).toBeUndefined();
    for (const code of ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT"]) expect(refusalOf(broken(code))).toBeUndefined();
  });
});

describe("what the store relies on in the server", () => {
  const well: Settings = {
    version: "10.11.19-MariaDB",
    innodb_flush_log_at_trx_commit: "1",
    log_bin: "0",
    sync_binlog: "0",
    innodb_doublewrite: "1",
    sql_mode: "STRICT_ALL_TABLES",
    collation_connection: "utf8mb4_nopad_bin",
    max_allowed_packet: "16777216",
    read_only: "0",
    idle_write_transaction_timeout: "3",
    innodb_lock_wait_timeout: "3",
  };
  const wrong = (change: Record<string, string>): string[] =>
    judge({ ...well, ...change })
      .filter((one) => !one.ok)
      .map((one) => one.sentence);

  test("a server that has it all is well", () => {
    expect(wrong({})).toEqual([]);
    expect(
      wrong({ version: "11.4.2-MariaDB-log", log_bin: "1", sync_binlog: "1", innodb_doublewrite: "ON", read_only: "OFF" }),
    ).toEqual([]);
  });

  test.each([
    [{ version: "10.5.9-MariaDB" }, /10\.5\.9.*10\.6 or newer/],
    [{ version: "8.4.0" }, /8\.4\.0.*MariaDB 10\.6 or newer/],
    [{ innodb_flush_log_at_trx_commit: "2" }, /set it to 1/],
    [{ log_bin: "1" }, /sync_binlog is 0.*set it to 1/],
    [{ innodb_doublewrite: "0" }, /set it to ON/],
    [{ sql_mode: "STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES" }, /changes the settings of sessions/],
    [{ sql_mode: "" }, /sql_mode/],
    [{ collation_connection: "utf8mb4_general_ci" }, /ids would be folded/],
    [{ max_allowed_packet: "1048576" }, /set it to at least 16777216/],
    [{ read_only: "1" }, /read-only.*takes writes/],
    [{ idle_write_transaction_timeout: "0" }, /hold the lease for longer than 3 s/],
    [{ innodb_lock_wait_timeout: "50" }, /innodb_lock_wait_timeout is 50/],
  ])("%o is said, and what to do", (change, sentence) => {
    expect(wrong(change)).toEqual([expect.stringMatching(sentence)]);
  });
});
