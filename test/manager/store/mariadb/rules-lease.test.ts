/** Rules 17 and 18 on a real MariaDB: for each the danger itself, by the naive form, and that it cannot happen here. */
import type { Connection } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Change } from "../../../../manager/control/changes.ts";
import { commitUntilHeld } from "../../../../manager/engine/commit.ts";
import { openConnections } from "../../../../manager/store/mariadb/connection.ts";
import type { Store } from "../../../../manager/store/store.ts";
import { lead, pool, run } from "../../../contract/store/rows.ts";
import { createTask, problemOf } from "../../engine/rig.ts";
import { mariadbMissing, MariadbServer } from "../../../kit/mariadb.ts";
import { TcpProxy } from "../../../kit/tcp-proxy.ts";
import { until } from "../../../kit/until.ts";
import { engineOn } from "../../engine/engine-on.ts";
import { databaseLease, storeAt, through } from "./store-at.ts";

const reason = mariadbMissing();
const insert = (id: string, order: number): Change => ({ op: "insertRun", row: run({ id, order }) });

describe.skipIf(reason !== undefined)(`the lease on a real MariaDB${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let server: MariadbServer;
  let url: string;
  let store: Store;
  let proxy: TcpProxy;
  beforeAll(async () => {
    server = await MariadbServer.start();
    proxy = await TcpProxy.to(server.port);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    url = await server.database();
    store = await storeAt(url);
  });

  const database = (): string => new URL(url).pathname.slice(1);
  const runs = async (): Promise<string[]> =>
    (await server.admin("SELECT id FROM runs ORDER BY id", database())).map((row: { id: string }) => row.id);
  async function raw(): Promise<Connection> {
    const connection = await server.connect(database());
    onTestFinished(() => connection.destroy());
    return connection;
  }
  /** Something of this text runs on the server now. */
  const runsNow = async (text: string): Promise<boolean> =>
    (await server.admin("SHOW FULL PROCESSLIST")).some(
      (one: { Info: string | null }) => one.Info?.includes(text) && !one.Info.startsWith("SHOW"),
    );

  describe("rule 17: a first try that is stalled and lands late", () => {
    /** A leader whose first batch is on the wire, given up by its sender, and still on its way. */
    async function stalled(): Promise<{ readonly term: number }> {
      const distant = await storeAt(through(url, proxy.port));
      const leader = await lead(distant);
      proxy.hold("client");
      const first = leader.commit(insert("stalled", 1)).catch((error: unknown) => error);
      await until("the text to be on its way", () => proxy.heldBytes > 500);
      proxy.breakClients();
      expect(await first).toMatchObject({ kind: "transient", outcomeKnown: false });
      return leader;
    }
    /** Lets the text arrive, and waits until the server has answered or dropped it. */
    async function arrives(): Promise<void> {
      proxy.release();
      await until("the late text to be done with", () => proxy.connections === 0);
    }

    test("changes nothing once the leader has committed that number with other content", async () => {
      const { term } = await stalled();
      expect(await store.commit({ pool, term, batch: 1, changes: [insert("second-try", 1)] })).toBe("applied");
      await arrives();
      expect(await runs()).toEqual(["second-try"]);
    });

    test("changes nothing under a new leader", async () => {
      await stalled();
      const next = await lead(store);
      await arrives();
      expect(await next.commit(insert("new-leader", 1))).toBe("applied");
      expect(await runs()).toEqual(["new-leader"]);
    });

    test("the danger: without the compare and set it lands on top", async () => {
      const distant = await openConnections(through(url, proxy.port));
      onTestFinished(async () => await distant[Symbol.asyncDispose]());
      await lead(store);
      const text = `INSERT INTO migrations VALUES ('naive ${"x".repeat(100)}', 'landed')`;
      proxy.hold("client");
      const first = distant.write([text]).catch((error: unknown) => error);
      await until("the text to be on its way", () => proxy.heldBytes > 100);
      proxy.breakClients();
      expect(await first).toMatchObject({ outcomeKnown: false });
      await lead(store);
      await arrives();
      expect(await server.admin("SELECT sha256 FROM migrations WHERE name LIKE 'naive%'", database())).toEqual([
        { sha256: "landed" },
      ]);
    });

    test("an answer that is lost: the batch is tried again, found to be there, and is there once", async () => {
      const distant = await storeAt(through(url, proxy.port));
      const { term } = await lead(distant);
      const told: unknown[] = [];
      proxy.hold("server");
      const held = commitUntilHeld(
        { pool, term, batch: 1, changes: [insert("once", 1)] },
        {
          store: distant,
          signal: new AbortController().signal,
          onTrouble: (error) => told.push(error.outcomeKnown),
          retry: { firstMs: 5, maxMs: 20 },
        },
      );
      await until("the row to be there and the answer not", async () => proxy.heldBytes > 0 && (await runs()).length === 1);
      proxy.cut();
      proxy.release();
      expect(await held).toEqual({ kind: "applied" });
      expect(told[0]).toBe(false);
      expect(await runs()).toEqual(["once"]);
      expect(await store.readLease(pool)).toMatchObject({ term, batch: 1 });
    });
  });

  test("rule 19: a network that breaks in every commit is never the rows' fault, however often", async () => {
    const distant = await storeAt(through(url, proxy.port));
    const { term } = await lead(distant);
    const told: unknown[] = [];
    proxy.breakAt("INSERT INTO `runs`", 6);
    const held = await commitUntilHeld(
      { pool, term, batch: 1, changes: [insert("at-last", 1)] },
      {
        store: distant,
        signal: new AbortController().signal,
        onTrouble: (error) => told.push([error.kind, error.outcomeKnown]),
        retry: { firstMs: 1, maxMs: 5 },
      },
    );
    expect(held).toEqual({ kind: "applied" });
    expect(told).toEqual(Array.from({ length: 6 }, () => ["transient", false]));
    expect(await runs()).toEqual(["at-last"]);
  });

  describe("rule 17: the check of the lease is a locking write", () => {
    test("the danger: an old leader that looks at the term first writes under the new one", async () => {
      const { term } = await lead(store);
      const old = await raw();
      await old.query("START TRANSACTION");
      const [rows] = await old.query("SELECT term FROM leases WHERE pool = ?", [pool]);
      expect(rows).toEqual([{ term }]);
      await lead(store);
      await old.query("INSERT INTO secrets VALUES ('naive', 'written by the old leader')");
      await old.query("COMMIT");
      expect(await server.admin("SELECT name FROM secrets WHERE name = 'naive'", database())).toHaveLength(1);
    });

    test("the danger: a list of statements goes on after an update that changed nothing", async () => {
      await lead(store);
      const old = await raw();
      await old.query("START TRANSACTION");
      await old.query("UPDATE leases SET batch = 1 WHERE pool = ? AND term = 0 AND batch = 0", [pool]);
      await old.query("INSERT INTO secrets VALUES ('list', 'inserted all the same')");
      await old.query("COMMIT");
      expect(await server.admin("SELECT name FROM secrets WHERE name = 'list'", database())).toHaveLength(1);
    });

    test("whoever wants the lease in the middle of a commit waits, and then finds that it moved; readers see nothing half done", async () => {
      const leader = await lead(store);
      await leader.commit(insert("locked", 1));
      const seen = await store.readLease(pool);
      const other = await storeAt(url);
      // Somebody holds a row that the batch needs, so that the batch stops behind its check of the lease.
      const blocker = await raw();
      await blocker.query("START TRANSACTION");
      await blocker.query("SELECT * FROM runs WHERE id = 'locked' FOR UPDATE");
      const committing = leader.commit(insert("inside", 2), { op: "updateRun", id: "locked", set: { state: "starting" } });
      await until("the batch to wait behind its check", () => runsNow("`runs` SET"));
      expect(await runs()).toEqual(["locked"]);
      const taking = other.takeLease(pool, "candidate", seen, 0);
      const first = await Promise.race([
        taking.then(() => "the candidate took it"),
        until("the candidate to wait", () => runsNow("`holder` = 'candidate'")).then(() => "it waits"),
      ]);
      expect(first).toBe("it waits");
      expect((await other.run("locked"))?.run.state).toBe("queued");
      await blocker.query("ROLLBACK");
      expect(await committing).toBe("applied");
      expect(await taking).toBeNull();
      expect(await runs()).toEqual(["inside", "locked"]);
    });

    test("a batch that waits for the lease row while another takes it finds that it moved, and writes nothing", async () => {
      // From 11.6.2 on the server itself guards whoever reads first and writes then; earlier ones do not.
      const older = "SET GLOBAL innodb_snapshot_isolation";
      await server.admin(`${older} = OFF`).catch(() => undefined);
      onTestFinished(async () => void (await server.admin(`${older} = DEFAULT`).catch(() => undefined)));
      const leader = await lead(await storeAt(url));
      const blocker = await raw();
      await blocker.query("START TRANSACTION");
      await blocker.query("SELECT * FROM leases WHERE pool = ? FOR UPDATE", [pool]);
      const committing = leader.commit(insert("late", 1));
      await until("the batch to wait for the lease row", () => runsNow("`leases` SET"));
      await blocker.query("UPDATE leases SET term = term + 1, holder = 'other' WHERE pool = ?", [pool]);
      await blocker.query("COMMIT");
      expect(await committing).toBe("deposed");
      expect(await runs()).toEqual([]);
    });

    test("a deposed leader's commit writes nothing, wherever in the batch it would fail", async () => {
      const old = await lead(store);
      await lead(store);
      expect(await old.commit(insert("deposed", 1))).toBe("deposed");
      expect(await runs()).toEqual([]);
      const now = await lead(store);
      await expect(
        now.commit(insert("a", 1), { op: "updateRun", id: "nobody", set: { state: "starting" } }),
      ).rejects.toMatchObject({ kind: "permanent" });
      expect(await runs()).toEqual([]);
      expect(await now.commit(insert("a", 1))).toBe("applied");
    });
  });

  test("rule 17: a process that stops after the update of the lease holds a candidate back for seconds, and then writes nothing", async () => {
    const { term } = await lead(store);
    const stopped = await openConnections(url);
    onTestFinished(async () => await stopped[Symbol.asyncDispose]());
    let wake = (): void => undefined;
    const asleep = new Promise<void>((resolve) => (wake = resolve));
    let holds = false;
    const old = stopped
      .session(async (session) => {
        await session.query("START TRANSACTION");
        await session.query("UPDATE leases SET batch = 1 WHERE pool = ? AND term = ? AND batch = 0", [pool, term]);
        holds = true;
        await asleep;
        await session.query("INSERT INTO secrets VALUES ('late', 'x')");
        await session.query("COMMIT");
      })
      .catch((error: unknown) => error);
    await until("the lease row to be held", () => holds);
    const seen = await store.readLease(pool);
    const taken = await until(
      "the candidate to have the lease",
      async () => await store.takeLease(pool, "candidate", seen, 0).catch(() => undefined),
    );
    expect(taken).toMatchObject({ holder: "candidate", term: term + 1, batch: 0 });
    wake();
    expect(await old).toMatchObject({ kind: "transient" });
    expect(await server.admin("SELECT name FROM secrets WHERE name = 'late'", database())).toEqual([]);
  });

  test("rule 18: of two who saw the same row one takes it, also when there is none yet", async () => {
    const stores = await Promise.all([storeAt(url), storeAt(url), storeAt(url)]);
    for (const seen of [null, "row"] as const) {
      const row = seen === null ? null : await store.readLease(pool);
      const taken = await Promise.all(stores.map((one, at) => one.takeLease(pool, `m${at}`, row, 0)));
      expect(taken.filter((one) => one !== null)).toHaveLength(1);
    }
  });

  test("rule 18: a leader that was paused and wakes writes nothing, answers that the outcome is unknown, and leads again by a new term", async () => {
    let paused: Promise<void> | undefined;
    let wake = (): void => undefined;
    let asleep = 0;
    /** What a stopped process does: nothing, and then it goes on where it was. */
    const pausable: Store = {
      ...store,
      commit: async (batch) => {
        if (paused) {
          asleep += 1;
          await paused;
        }
        return await store.commit(batch);
      },
    };
    const old = engineOn(pausable, "old", databaseLease);
    await until("the old one to lead", () => old.lead);
    await old.ask(createTask("before"));
    paused = new Promise((resolve) => (wake = resolve));
    const asked = problemOf(old.ask(createTask("asleep")));
    await until("it to be in the middle of a commit", () => asleep > 0);
    const next = engineOn(await storeAt(url), "next", databaseLease);
    const { term } = await until("the next one to lead", () => next.lead);
    await next.ask(createTask("meanwhile"));
    paused = undefined;
    wake();
    expect(await asked).toBe("outcome-unknown");
    const names = (await store.tasks({ limit: 10, cursor: null })).items.map((one) => one.name);
    expect(names.toSorted()).toEqual(["before", "meanwhile"]);
    expect(term).toBeGreaterThan(1);
  });
});
