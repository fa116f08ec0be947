/** The log store, the classification of errors and the check of settings, on one real server. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkMariadb } from "../../../../manager/store/mariadb/check.ts";
import { openConnections, type Connections } from "../../../../manager/store/mariadb/connection.ts";
import { openMariadbLogs } from "../../../../manager/store/mariadb/logs.ts";
import { migrate } from "../../../../manager/store/mariadb/migrate.ts";
import { StoreError } from "../../../../manager/store/store.ts";
import { mariadbLimits } from "../../../../schema/limits/mariadb.ts";
import { logStoreContract } from "../../../contract/logstore.ts";
import { mariadbMissing, MariadbServer } from "../../../kit/mariadb.ts";
import { until } from "../../../kit/until.ts";
import { waitLongForRows } from "./store-at.ts";

const reason = mariadbMissing();

describe.skipIf(reason !== undefined)(`a real MariaDB${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let server: MariadbServer;
  let url: string;
  let migrated: string;
  beforeAll(async () => {
    server = await MariadbServer.start();
    url = await server.database();
    migrated = await server.database();
    await using connections = await openConnections(migrated);
    await migrate(connections, undefined);
  });
  afterAll(async () => await server[Symbol.asyncDispose]());

  /** The connection whose statement, that runs now, has this in its text. */
  async function runningWith(text: string): Promise<number | undefined> {
    const all: { readonly Info: string | null; readonly Id: number }[] = await server.admin("SHOW FULL PROCESSLIST");
    return all.find((one) => one.Info?.includes(text))?.Id;
  }

  async function opened(of = url): Promise<Connections> {
    const connections = await openConnections(of);
    onTestFinished(async () => await connections[Symbol.asyncDispose]());
    return connections;
  }

  logStoreContract("logs in MariaDB", async () => {
    const connections = await openConnections(migrated);
    await connections.write(["DELETE FROM log_chunks"]);
    await connections.write(["DELETE FROM log_streams"]);
    return { logs: openMariadbLogs(connections), close: async () => await connections[Symbol.asyncDispose]() };
  });

  describe("logs of two managers", () => {
    test("that append the same stream at once make one stream", async () => {
      const [one, two] = [openMariadbLogs(await opened(migrated)), openMariadbLogs(await opened(migrated))];
      const text = Array.from({ length: 300 }, (_, at) => `line ${at}\n`).join("");
      let end = 0;
      while (end < text.length) {
        const bytes = Buffer.from(text.slice(end, end + 700));
        const ends = await Promise.all(
          [one, two].map((logs, at) =>
            logs.append("both", "stdout", { kind: "bytes", offset: end, bytes: bytes.subarray(0, 500 + at * 200) }),
          ),
        );
        expect(Math.max(...ends)).toBeGreaterThan(end);
        end = Math.max(...ends);
      }
      const { pieces } = await two.read("both", "stdout", 0, 1_000_000);
      expect(pieces.map((piece) => (piece.kind === "bytes" ? Buffer.from(piece.bytes).toString() : "gap"))).toEqual([text]);
    });

    test("a slow talker's stream is few rows, and what is kept is bounded", async () => {
      const connections = await opened(migrated);
      const logs = openMariadbLogs(connections, { streamBytes: 20_000 });
      const word = Buffer.alloc(1_000, "w");
      for (let at = 0; at < 25; at += 1) await logs.append("slow", "stdout", { kind: "bytes", offset: at * 1_000, bytes: word });
      const [row] = await connections.read("SELECT COUNT(*), SUM(LENGTH(bytes)) FROM log_chunks WHERE attempt_id = 'slow'");
      expect(Number(row?.[0])).toBeLessThanOrEqual(Math.ceil(20_000 / mariadbLimits.logJoinBytes) + 1);
      expect(Number(row?.[1])).toBeLessThan(1_000);
      const { pieces, end } = await logs.read("slow", "stdout", 19_999, 100_000);
      expect(end).toBe(25_000);
      expect(pieces).toMatchObject([
        { kind: "bytes", offset: 19_999 },
        { kind: "gap", offset: 20_000, length: 5_000, why: "only the first 20000 bytes of a stream are kept" },
      ]);
    });

    test("a piece of megabytes is cut into chunks and comes back whole", async () => {
      const logs = openMariadbLogs(await opened(migrated));
      const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, at) => (at * at * 7919) % 256));
      expect(await logs.append("large", "stderr", { kind: "bytes", offset: 0, bytes })).toBe(400_000);
      const { pieces } = await logs.read("large", "stderr", 0, 400_000);
      expect(pieces.map((piece) => (piece.kind === "bytes" ? Buffer.compare(bytes, piece.bytes) : 1))).toEqual([0]);
      await logs.remove("large");
      expect(await logs.read("large", "stderr", 0, 10)).toEqual({ pieces: [], end: 0 });
    });
  });

  describe("what the server says (rule 19)", () => {
    const permanent = { kind: "permanent", outcomeKnown: true };
    const table =
      "CREATE TABLE IF NOT EXISTS rows_at_fault (id INT PRIMARY KEY, short VARCHAR(3) NOT NULL, number TINYINT, CHECK (number <> 7))";
    const failing = async (texts: readonly string[]): Promise<unknown> => {
      const connections = await opened();
      await connections.write([table]);
      return await connections.write(texts).catch((error: unknown) => error);
    };

    test.each([
      ["a row that is there", "INSERT INTO rows_at_fault VALUES (1, 'a', 1), (1, 'b', 2)"],
      ["a text that is too long", "INSERT INTO rows_at_fault VALUES (2, 'long', 1)"],
      ["nothing where something must be", "INSERT INTO rows_at_fault VALUES (3, NULL, 1)"],
      ["a column left out", "INSERT INTO rows_at_fault (id) VALUES (4)"],
      ["a number out of range", "INSERT INTO rows_at_fault VALUES (5, 'a', 300)"],
      ["a text for a number", "INSERT INTO rows_at_fault VALUES (6, 'a', 'seven')"],
      ["a row against a CHECK", "INSERT INTO rows_at_fault VALUES (7, 'a', 7)"],
      ["text that is no UTF-8", "INSERT INTO rows_at_fault VALUES (8, X'ff', 1)"],
    ])("%s is permanent", async (_, text) => {
      const error = await failing([text]);
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject(permanent);
      expect(String(error)).toMatch(/^StoreError: A row is (against a constraint|too large|of the wrong type): /);
    });

    test.each([
      ["no such table", ["INSERT INTO nowhere VALUES (1)"], /its tables are not there/],
      ["no permission", ["INSERT INTO mysql.user VALUES (1)"], /may not do that/],
      [
        "a full table",
        [
          "SET SESSION max_heap_table_size = 16384",
          "CREATE OR REPLACE TABLE heap (t CHAR(255)) ENGINE = MEMORY",
          "INSERT INTO heap SELECT REPEAT('x', 255) FROM seq_1_to_10000",
        ],
        /disk is full/,
      ],
      [
        "a transaction that only reads",
        ["START TRANSACTION READ ONLY", "INSERT INTO rows_at_fault VALUES (9, 'a', 1)"],
        /read-only/,
      ],
      [
        "a statement out of time",
        ["SET SESSION max_statement_time = 0.01", "DO SLEEP(5)", "SELECT SLEEP(5) FROM seq_1_to_10"],
        /interrupted/,
      ],
    ])("%s is transient", async (_, texts, sentence) => {
      const error = await failing(texts);
      expect(error).toMatchObject({ name: "StoreError", kind: "transient" });
      expect(String(error)).toMatch(sentence);
    });

    test("a server that was made read-only is transient", async () => {
      await failing([]);
      await server.admin("SET GLOBAL read_only = 1");
      const connections = await opened();
      const error = await connections.write(["INSERT INTO rows_at_fault VALUES (10, 'a', 1)"]).catch((cause: unknown) => cause);
      await server.admin("SET GLOBAL read_only = 0");
      expect(error).toMatchObject({ kind: "transient", outcomeKnown: true });
      expect(String(error)).toMatch(/read-only/);
    });

    test("locks and deadlocks are transient, and the outcome is known", async () => {
      const connections = await opened();
      await connections.write([table]);
      await connections.write(["REPLACE INTO rows_at_fault VALUES (20, 'a', 1), (21, 'a', 1)"]);
      const other = await server.connect("muster_1");
      onTestFinished(() => other.end());
      await other.query("START TRANSACTION");
      await other.query("UPDATE rows_at_fault SET short = 'o' WHERE id = 20");
      const locked = await connections
        .write(["SET SESSION innodb_lock_wait_timeout = 1", "UPDATE rows_at_fault SET short = 'm' WHERE id = 20"])
        .catch((error: unknown) => error);
      expect(locked).toMatchObject({ kind: "transient", outcomeKnown: true });
      // The server ends whoever has changed less: this one.
      await other.query("UPDATE rows_at_fault SET number = id, short = 'p' WHERE id = 20");
      await other.query("INSERT INTO rows_at_fault VALUES (30, 'a', 1), (31, 'a', 1), (32, 'a', 1)");
      const crossed = connections
        .write([
          // What this session had until now would end the wait by itself on a busy machine.
          "SET SESSION innodb_lock_wait_timeout = 60",
          "START TRANSACTION",
          "UPDATE rows_at_fault SET short = 'm' WHERE id = 21",
          "UPDATE rows_at_fault SET short = 'm' WHERE id = 20",
        ])
        .catch((error: unknown) => error);
      await until("it to ask for the other row", () => runningWith("short = 'm' WHERE id = 20"));
      await other.query("UPDATE rows_at_fault SET short = 'q' WHERE id = 21");
      const error = await crossed;
      expect(error).toMatchObject({ kind: "transient", outcomeKnown: true });
      expect(String(error)).toMatch(/Deadlock/);
      await other.query("ROLLBACK");
    });

    test("too many connections are transient", async () => {
      await server.admin("CREATE USER 'few'@'%' WITH MAX_USER_CONNECTIONS 1");
      await server.admin("GRANT ALL ON `muster%`.* TO 'few'@'%'");
      const few = await opened(url.replace(/\/\/[^@]*@/, "//few@"));
      const both = await Promise.allSettled([few.read("SELECT SLEEP(0.1)"), few.read("SELECT SLEEP(0.1)")]);
      const refused = both.find((one) => one.status === "rejected");
      expect(refused?.reason).toMatchObject({ kind: "transient", outcomeKnown: true });
    });

    test.each([["KILL QUERY"], ["KILL"]])(
      "%s in the middle of a block leaves the outcome unknown and nothing behind",
      async (how) => {
        const connections = await opened();
        await connections.write([table]);
        await connections.write(["DELETE FROM rows_at_fault"]);
        const block =
          "BEGIN NOT ATOMIC DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; START TRANSACTION;" +
          " INSERT INTO rows_at_fault VALUES (40, 'a', 1); SELECT SLEEP(30) INTO @waited; COMMIT; END";
        const cut = connections.write([block]).catch((error: unknown) => error);
        await server.admin(`${how} ${await until("the block to run", () => runningWith("SLEEP(30)"))}`);
        expect(await cut).toMatchObject({ kind: "transient", outcomeKnown: false });
        await connections.write(["START TRANSACTION", "INSERT INTO rows_at_fault VALUES (41, 'a', 1)", "COMMIT"]);
        expect(await connections.read("SELECT id FROM rows_at_fault")).toEqual([[41]]);
      },
    );
  });

  test("readers that take every connection of theirs hold up neither what a leader reads nor what it writes", async () => {
    const connections = await opened();
    const slow = Array.from({ length: mariadbLimits.readers + 1 }, () => connections.read("SELECT SLEEP(18)"));
    const ended = Promise.race(
      slow.map((one) =>
        one.then(
          () => "a reader",
          () => "a reader",
        ),
      ),
    );
    await until(
      "all to be taken",
      async () =>
        (await server.admin("SHOW PROCESSLIST")).filter((one: { Info: string | null }) => one.Info?.includes("SLEEP(18)"))
          .length === mariadbLimits.readers,
    );
    const leader = connections
      .load("SELECT 1")
      .then(() => connections.write(["DO 1"]))
      .then(() => "the leader");
    expect(await Promise.race([ended, leader])).toBe("the leader");
  });

  test("output that takes every connection of its own holds up neither commits nor anybody else", async () => {
    const [connections, other] = [await opened(migrated), await opened(migrated)];
    await waitLongForRows(connections);
    const logs = openMariadbLogs(connections);
    const word = (attempt: string, offset: number) =>
      logs.append(attempt, "stdout", { kind: "bytes", offset, bytes: Buffer.from("word") });
    const attempts = Array.from({ length: 30 }, (_, at) => `held${at}`);
    await Promise.all(attempts.map((attempt) => word(attempt, 0)));
    const letGo = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holder = other.session(async (session) => {
      await session.query("START TRANSACTION");
      await session.query("SELECT * FROM log_streams WHERE attempt_id LIKE 'held%' FOR UPDATE");
      locked.resolve();
      await letGo.promise;
      await session.query("ROLLBACK");
    });
    await locked.promise;
    const appends = attempts.map((attempt) => word(attempt, 4));
    await until("an append to wait", () => runningWith("UPDATE `log_streams`"));
    const others = connections
      .write(["DO 1"])
      .then(() => connections.session((session) => session.query("DO 2")))
      .then(() => connections.read("SELECT 3"))
      .then(() => "the others");
    expect(await Promise.race([Promise.race(appends).then(() => "output"), others])).toBe("the others");
    letGo.resolve();
    await holder;
    expect(await Promise.all(appends)).toEqual(attempts.map(() => 8));
  });

  test("the check asks the real server, and says of each setting what to do", async () => {
    const connections = await opened();
    const well = await checkMariadb(connections, 60_000);
    expect(well.map((one) => [one.name, one.ok])).toEqual(
      ["database", "version", "durability", "sessions", "max_allowed_packet", "read_only"].map((name) => [name, true]),
    );
    expect(well[0]?.sentence).not.toContain(server.password);
    await server.admin("SET GLOBAL innodb_flush_log_at_trx_commit = 2, read_only = 1");
    const ill = await checkMariadb(connections, 60_000);
    await server.admin("SET GLOBAL innodb_flush_log_at_trx_commit = 1, read_only = 0");
    expect(ill.filter((one) => !one.ok).map((one) => one.sentence)).toEqual([
      "innodb_flush_log_at_trx_commit is 2: a power cut may lose what was answered; set it to 1.",
      expect.stringMatching(/read-only: it may be a replica/),
    ]);
  });
});
