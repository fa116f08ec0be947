/** Rules 19 to 21 on a real MariaDB that is set as carelessly as many are. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Change } from "../../../../manager/control/changes.ts";
import type { Request } from "../../../../manager/control/inputs.ts";
import { checkMariadb } from "../../../../manager/store/mariadb/check.ts";
import { openConnections } from "../../../../manager/store/mariadb/connection.ts";
import type { Store } from "../../../../manager/store/store.ts";
import { key, lead, task, worker } from "../../../contract/store/rows.ts";
import { createTask, problemOf } from "../../engine/rig.ts";
import { mariadbMissing, MariadbServer } from "../../../kit/mariadb.ts";
import { until } from "../../../kit/until.ts";
import { engineOn } from "../../engine/engine-on.ts";
import { databaseLease, storeAt } from "./store-at.ts";

const reason = mariadbMissing();

describe.skipIf(reason !== undefined)(`rows on a real MariaDB${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let server: MariadbServer;
  let url: string;
  let store: Store;
  beforeAll(async () => {
    server = await MariadbServer.start(["--sql-mode=", "--collation-server=utf8mb4_general_ci"]);
  });
  afterAll(async () => await server[Symbol.asyncDispose]());
  beforeEach(async () => {
    url = await server.database();
    store = await storeAt(url);
  });

  const database = (): string => new URL(url).pathname.slice(1);
  const names = async (): Promise<string[]> =>
    (await server.admin("SELECT name FROM tasks ORDER BY name", database())).map((row: { name: string }) => row.name);

  describe("rule 19", () => {
    test("a row that is too long among 200 good ones is set aside alone", async () => {
      const engine = engineOn(store, "one", databaseLease);
      await until("it to lead", () => engine.lead);
      // No API lets it through: the column is the last one to say no.
      const tooLong = (name: string): Request => ({ ...createTask(name), by: "x".repeat(501) });
      const asked = Array.from({ length: 201 }, (_, at) => (at === 77 ? tooLong("bad") : createTask(`good${at}`)));
      const answers = await Promise.allSettled(asked.map((request) => engine.ask(request)));
      expect(answers.map((answer, at) => (answer.status === "fulfilled" ? "" : at)).filter((at) => at !== "")).toEqual([77]);
      expect(await problemOf(engine.ask(tooLong("bad again")))).toBe("internal");
      expect(await names()).toHaveLength(200);
      expect(engine.trouble).toBeUndefined();
    });

    test("the danger: a session that is not strict stores half of it and says that all is well", async () => {
      const careless = await server.connect(database());
      await careless.query("INSERT INTO secrets (name, value) VALUES (?, 'x')", ["n".repeat(200)]);
      const [rows] = await careless.query("SELECT CHAR_LENGTH(name) AS length FROM secrets");
      await careless.end();
      expect(rows).toEqual([{ length: 128 }]);
    });

    test("a text that no server takes in one piece is cut into several, or refused alone", async () => {
      const leader = await lead(store);
      const big = "é".repeat(3_000_000);
      const bodies = Array.from({ length: 4 }, (_, at): Change => ({
        op: "insertSetAside",
        row: { id: `s${at}`, pool: "default", at, source: "test", why: "large", raw: big },
      }));
      expect(await leader.commit(...bodies)).toBe("applied");
      const tooBig: Change = {
        op: "insertSetAside",
        row: { id: "huge", pool: "default", at: 9, source: "test", why: "large", raw: "é".repeat(9_000_000) },
      };
      await expect(leader.commit(tooBig)).rejects.toMatchObject({ kind: "permanent", outcomeKnown: true });
      expect(await leader.commit({ op: "insertTask", row: task() })).toBe("applied");
    });

    test("a database that is away, however often it is asked, sets nothing aside and loses nothing; meanwhile rule 20 holds", async () => {
      const engine = engineOn(store, "one", databaseLease);
      await until("it to lead", () => engine.lead);
      await engine.ask(createTask("before"));
      const operator = await server.connect(database());
      operator.on("error", () => undefined);
      await operator.query("LOCK TABLES tasks WRITE");
      const taken = engine.ask(createTask("taken"));
      await until("it to be in the middle of a commit", async () =>
        (await server.admin("SHOW FULL PROCESSLIST")).some((one: { Info: string | null }) => one.Info?.includes("'taken'")),
      );
      await server.kill();
      const troubles = new Set<string>();
      await until("trouble to be known", () => engine.trouble);
      for (let asked = 0; asked < 5; asked += 1)
        expect(await problemOf(() => engine.ask(createTask("refused")))).toBe("not-taken");
      // Rule 19 counts to three: more tries than that fail here, one after the other.
      const tries = await failedTries(store);
      expect(tries).toEqual(Array.from({ length: 5 }, () => "transient"));
      troubles.add(engine.trouble?.sentence ?? "");
      await server.restart();
      expect(await taken).toMatchObject({ kind: "task" });
      await until("the trouble to be over", () => !engine.trouble);
      await engine.ask(createTask("after"));
      expect(await names()).toEqual(["after", "before", "taken"]);
      expect(await store.setAside(10)).toEqual([]);
      expect([...troubles][0]).toMatch(/does not answer|connect/);
    });

    test("a disk that is full is waited for", async () => {
      const engine = engineOn(store, "one", databaseLease);
      await until("it to lead", () => engine.lead);
      await server.admin(
        "CREATE TRIGGER full BEFORE INSERT ON tasks FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'",
        database(),
      );
      const taken = engine.ask(createTask("waits"));
      await until("trouble to be known", () => engine.trouble?.sentence.includes("disk is full"));
      await server.admin("DROP TRIGGER full", database());
      expect(await taken).toMatchObject({ kind: "task" });
      expect(await names()).toEqual(["waits"]);
    });
  });

  describe("rule 21", () => {
    test("texts that differ in case or in blanks alone are different, in rows, keys and searches", async () => {
      const leader = await lead(store);
      const changes: Change[] = [
        { op: "insertWorker", row: worker({ id: "edge-a" }) },
        { op: "insertWorker", row: worker({ id: "edge-A" }) },
        { op: "insertTask", row: task({ id: "t1", name: "a" }) },
        { op: "insertTask", row: task({ id: "t2", name: "a " }) },
        { op: "insertTask", row: task({ id: "t3", name: "A" }) },
        { op: "insertTask", row: task({ id: "t4", name: "á" }) },
        { op: "insertKey", row: key({ key: "k", runId: "r1" }) },
        { op: "insertKey", row: key({ key: "k ", runId: "r2" }) },
      ];
      expect(await leader.commit(...changes)).toBe("applied");
      expect(await leader.commit({ op: "updateWorker", id: "edge-A", set: { state: "online" } })).toBe("applied");
      expect([(await store.worker("edge-a"))?.state, (await store.worker("edge-A"))?.state]).toEqual(["neverSeen", "online"]);
      for (const [id, name] of [
        ["t1", "a"],
        ["t2", "a "],
        ["t3", "A"],
        ["t4", "á"],
      ] as const)
        expect((await store.taskByName("default", name))?.id).toBe(id);
      expect(await store.taskByName("default", "a  ")).toBeNull();
      const [found] = await store.load("default", [{ need: "key", taskId: "t1", key: "k " }]);
      expect(found).toMatchObject({ found: { runId: "r2" } });
    });

    test.each([
      ["utf8mb4_general_ci", "edge-A"],
      ["utf8mb4_bin", "edge-a "],
    ])("the danger: under %s edge-a and %j are one", async (collation, other) => {
      const text = `CREATE TABLE folded (id VARCHAR(36) PRIMARY KEY, state VARCHAR(9)) CHARACTER SET utf8mb4 COLLATE ${collation}`;
      await server.admin(text, database());
      await server.admin("INSERT INTO folded VALUES ('edge-a', 'mine')", database());
      await server.admin(`UPDATE folded SET state = 'theirs' WHERE id = '${other}'`, database());
      expect(await server.admin("SELECT * FROM folded", database())).toEqual([{ id: "edge-a", state: "theirs" }]);
    });

    test("the danger: an upsert over two unique keys rewrites another row; ours refuse, and the rows stay", async () => {
      await server.admin("CREATE TABLE pairs (id VARCHAR(9) PRIMARY KEY, name VARCHAR(9) UNIQUE, state VARCHAR(9))", database());
      await server.admin("INSERT INTO pairs VALUES ('t1', 'nightly', 'one')", database());
      await server.admin("INSERT INTO pairs VALUES ('t2', 'nightly', 'two') ON DUPLICATE KEY UPDATE state = 'two'", database());
      expect(await server.admin("SELECT id, state FROM pairs", database())).toEqual([{ id: "t1", state: "two" }]);
      const leader = await lead(store);
      await leader.commit({ op: "insertTask", row: task({ id: "t1", name: "nightly", labels: { state: "one" } }) });
      await expect(leader.commit({ op: "insertTask", row: task({ id: "t2", name: "nightly" }) })).rejects.toMatchObject({
        kind: "permanent",
      });
      expect(await store.task("t1")).toMatchObject({ labels: { state: "one" } });
      expect(await store.task("t2")).toBeNull();
    });

    test("the start says what the server lacks", async () => {
      await server.admin("SET GLOBAL innodb_flush_log_at_trx_commit = 0");
      await using connections = await openConnections(url);
      const checks = await checkMariadb(connections, 60_000);
      await server.admin("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
      expect(checks.filter((one) => !one.ok)).toEqual([
        { name: "durability", ok: false, sentence: expect.stringMatching(/innodb_flush_log_at_trx_commit is 0.*set it to 1/) },
      ]);
    });
  });
});

/** Five commits, one after the other, on a database that is away: what each says. */
async function failedTries(store: Store): Promise<string[]> {
  const said: string[] = [];
  while (said.length < 5) {
    const error = await store.commit({ pool: "default", term: 1, batch: 1, changes: [] }).catch((cause: unknown) => cause);
    said.push((error as { kind?: string }).kind ?? String(error));
  }
  return said;
}
