import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Change } from "../../../../manager/control/changes.ts";
import { codecsOf } from "../../../../manager/store/codecs.ts";
import { commitTexts } from "../../../../manager/store/mariadb/commit-text.ts";
import { openConnections, type Connections } from "../../../../manager/store/mariadb/connection.ts";
import { Grouper } from "../../../../manager/store/mariadb/grouper.ts";
import { statementsOfMigration } from "../../../../manager/store/mariadb/migrate.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import { migrationsOf } from "../../../../manager/store/migrations.ts";
import type { Batch, Store } from "../../../../manager/store/store.ts";
import * as tables from "../../../../manager/store/tables/mariadb.ts";
import { refusal } from "../../../contract/store/refusals.ts";
import { attempt, event, lead, pool, run } from "../../../contract/store/rows.ts";
import { MariadbServer, mariadbMissing } from "../../../kit/mariadb.ts";

const grouper = new Grouper(codecsOf(tables));
const textsOf = (batch: Batch, textBytes: number): string[] => [...commitTexts(batch, grouper.groups(batch.changes), textBytes)];
const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

describe("the texts of a batch", () => {
  const batchOf = (...changes: Change[]): Batch => ({ pool, term: 3, batch: 7, changes });
  const statements = (text: string, verb: string): number => text.split(`${verb} \``).length - 1;

  test("rows of a table are one INSERT, updates of the same columns one UPDATE, whatever stands between them", () => {
    const changes = numbers(20).flatMap((n): Change[] => [
      { op: "updateRun", id: `old${n}`, set: { state: "failed", endedAt: n } },
      { op: "insertRun", row: run({ id: `r${n}`, order: n, labels: { zone: "a" } }) },
      { op: "insertEvent", row: event({ number: n }) },
      { op: "insertAttempt", row: attempt({ id: `a${n}` }) },
    ]);
    const [text = "", ...more] = textsOf(batchOf(...changes), 4_000_000);
    expect(more).toEqual([]);
    expect(["INSERT INTO", "UPDATE"].map((verb) => statements(text, verb))).toEqual([4, 1]);
    expect(text.split("STRAIGHT_JOIN")).toHaveLength(2);
  });

  test("statements that touch one row keep their order", () => {
    const [text = ""] = textsOf(
      batchOf(
        { op: "insertRun", row: run({ id: "r1" }) },
        { op: "updateRun", id: "r1", set: { state: "starting" } },
        { op: "updateRun", id: "r2", set: { state: "running" } },
        { op: "updateRun", id: "r1", set: { state: "lost" } },
        { op: "insertRun", row: run({ id: "r2", order: 2 }) },
      ),
      4_000_000,
    );
    const order = ["('r1',", "'starting'", "'running'", "'lost'", "('r2','default'"].map((piece) => text.indexOf(piece));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(Math.min(...order)).toBeGreaterThan(0);
  });

  test("no text is beyond the bound unless one row is, and only the last one commits", () => {
    const rows = numbers(200).map((n): Change => ({
      op: "insertRun",
      row: run({ id: `r${n}`, order: n, params: { p: "é".repeat(2_000) } }),
    }));
    const updates = numbers(500).map((n): Change => ({ op: "updateAttempt", id: `a${n}`, set: { state: "ended", pid: n } }));
    const large: Change = { op: "insertRun", row: run({ id: "large", order: 999, params: { p: "x".repeat(90_000) } }) };
    const texts = textsOf(batchOf(...rows, ...updates, large), 60_000);
    expect(texts.length).toBeGreaterThan(10);
    const sizes = texts.map((text) => Buffer.byteLength(text));
    expect(sizes.filter((size) => size > 60_000)).toHaveLength(1);
    expect(texts.map((text) => text.includes("COMMIT;"))).toEqual(texts.map((_, at) => at === texts.length - 1));
    expect(texts.map((text) => text.includes("START TRANSACTION;"))).toEqual(texts.map((_, at) => at === 0));
  });
});

const missing = mariadbMissing();
let server: MariadbServer;
beforeAll(async () => {
  // A small packet, so that many texts are few megabytes.
  if (missing === undefined) server = await MariadbServer.start(["--max-allowed-packet=1M"]);
});
afterAll(async () => {
  if (missing === undefined) await server[Symbol.asyncDispose]();
});
beforeEach((ctx) => {
  if (missing !== undefined && ctx.task.name.includes("MariaDB")) ctx.skip(missing);
});

async function opened(url: string): Promise<{ connections: Connections; store: Store }> {
  const connections = await openConnections(url);
  const store = await openMariadbStore(connections);
  onTestFinished(async () => await store[Symbol.asyncDispose]());
  return { connections, store };
}

describe("a batch beyond the bound of a text, on MariaDB", () => {
  const long = `'\\"${"p".repeat(16_000)}`;
  const thousand = numbers(1_000).map((n): Change => ({
    op: "insertRun",
    row: run({ id: `r${n}`, order: n, params: { p: long } }),
  }));

  test("on MariaDB: is one transaction", async () => {
    const { connections, store } = await opened(await server.database());
    const leader = await lead(store);
    expect(textsOf({ pool, term: 1, batch: 1, changes: thousand }, connections.textBytes).length).toBeGreaterThan(50);
    expect(await leader.commit(...thousand)).toBe("applied");
    expect(await store.readLease(pool)).toMatchObject({ batch: 1 });
    expect(await connections.read("SELECT COUNT(*), SUM(LENGTH(`params`) > 16000) FROM `runs`")).toEqual([[1_000, "1000"]]);
    expect((await store.run("r1000"))?.run.params).toEqual({ p: long });
  });

  test("on MariaDB: leaves nothing when its last row cannot be, and the number is free for another", async () => {
    const { store } = await opened(await server.database());
    const leader = await lead(store);
    const error = await refusal(
      leader.commit(...thousand.slice(0, 100), { op: "updateRun", id: "none", set: { state: "lost" } }),
    );
    expect(error).toMatchObject({ kind: "permanent", outcomeKnown: true, message: "There is no run none to update." });
    expect((await store.runs({ limit: 1, cursor: null })).items).toEqual([]);
    expect(await leader.commit(...thousand.slice(0, 2))).toBe("applied");
  });

  test("on MariaDB: leaves nothing when the connection is lost in the middle, and what is sent later on another one does nothing", async () => {
    const { connections, store } = await opened(await server.database());
    const { term } = await lead(store);
    const texts = textsOf({ pool, term, batch: 1, changes: thousand.slice(0, 20) }, connections.textBytes);
    const cut = connections.session(async (session) => {
      await session.query(texts[0] ?? "");
      throw new Error("cut");
    });
    await expect(cut).rejects.toThrow("cut");
    await expect(connections.write([texts.at(-1) ?? ""])).rejects.toThrow("The transaction is gone.");
    expect(await store.readLease(pool)).toMatchObject({ batch: 0 });
    expect((await store.runs({ limit: 1, cursor: null })).items).toEqual([]);
    expect(await store.commit({ pool, term, batch: 1, changes: [] })).toBe("applied");
  });
});

describe("values", () => {
  test("on MariaDB: any text comes back as it was, and bytes too", async () => {
    const { store } = await opened(await server.database());
    const leader = await lead(store);
    let n = 0;
    const texts = fc.array(fc.string({ unit: "binary", maxLength: 40 }), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(texts, async (values) => {
        n += 1;
        const row = run({
          id: `r${n}`,
          order: n,
          params: Object.fromEntries(values.entries()),
          taskName: values[0] ?? "",
          result: values.join(""),
        });
        await leader.commit({ op: "insertRun", row });
        expect((await store.run(`r${n}`))?.run).toEqual(row);
        // The same values by the two forms that write several rows: alike, and each its own.
        const end = { how: "lost", why: values.at(-1) ?? "" } as const;
        const some = [...new Set([`r${n}`, `r${Math.max(1, n - 1)}`])];
        await leader.commit(...some.map((id): Change => ({ op: "updateRun", id, set: { end, result: values[0] ?? null } })));
        expect((await store.run(`r${n}`))?.run).toEqual({ ...row, end, result: values[0] });
        const each = (at: number) => ({ end, result: values.slice(0, at + 2).join("|"), endedAt: n + at });
        await leader.commit(...some.map((id, at): Change => ({ op: "updateRun", id, set: each(at) })));
        for (const [at, id] of some.entries()) expect((await store.run(id))?.run).toMatchObject(each(at));
      }),
      { numRuns: 15, seed: 20_261_121 },
    );
    const everyByte = Uint8Array.from({ length: 512 }, (_, at) => at % 256);
    await store.putBody("b", everyByte);
    expect(Buffer.from((await store.getBody("b")) ?? []).equals(everyByte)).toBe(true);
  });

  test("on MariaDB: of several updates in one statement each has to find its row, also one that it leaves as it was", async () => {
    const { store } = await opened(await server.database());
    const leader = await lead(store);
    const ids = ["r1", "r2", "r3"];
    await leader.commit(...ids.map((id, at): Change => ({ op: "insertRun", row: run({ id, order: at + 1 }) })));
    for (const endedAt of [() => 5, (at: number) => at]) {
      const updates = (of: readonly string[]) =>
        of.map((id, at): Change => ({ op: "updateRun", id, set: { state: "failed", endedAt: endedAt(at) } }));
      expect(await leader.commit(...updates(ids))).toBe("applied");
      expect(await leader.commit(...updates(ids))).toBe("applied");
      const error = await refusal(leader.commit(...updates(["r1", "gone", "r3"])));
      expect(error).toMatchObject({
        kind: "permanent",
        outcomeKnown: true,
        message: "There is no run r1 (or another of 3) to update.",
      });
    }
    expect((await store.run("r3"))?.run).toMatchObject({ state: "failed", endedAt: 2 });
  });

  test("on MariaDB: a number that it would round is refused, for good", async () => {
    const { store } = await opened(await server.database());
    const leader = await lead(store);
    for (const odd of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      const error = await refusal(leader.commit({ op: "insertRun", row: run({ createdAt: odd }) }));
      expect(error).toMatchObject({ kind: "permanent", outcomeKnown: true });
    }
    expect(await leader.commit({ op: "insertRun", row: run() })).toBe("applied");
  });
});

describe("migrations", () => {
  const all = migrationsOf("mariadb");

  test("on MariaDB: of two managers at once on an empty database one applies them, each once", async () => {
    const url = await server.database();
    const told: string[] = [];
    const stores = await Promise.all(
      numbers(4).map(async () => await openMariadbStore(await openConnections(url), (name) => void told.push(name))),
    );
    for (const store of stores) onTestFinished(async () => await store[Symbol.asyncDispose]());
    expect(told).toEqual(all.map((migration) => migration.name));
    for (const store of stores) expect(await store.readLease(pool)).toBeNull();
  });

  test("on MariaDB: every text of every table is in the collation that tells any two apart, and every table in InnoDB", async () => {
    const { connections } = await opened(await server.database());
    const ours = "table_schema = DATABASE()";
    expect(
      await connections.read(
        `SELECT DISTINCT collation_name FROM information_schema.columns WHERE ${ours} AND collation_name IS NOT NULL`,
      ),
    ).toEqual([["utf8mb4_nopad_bin"]]);
    expect(await connections.read(`SELECT DISTINCT engine FROM information_schema.tables WHERE ${ours}`)).toEqual([["InnoDB"]]);
  });

  test("on MariaDB: one that was cut short is done again, from any statement on", async () => {
    const statements = all.flatMap((migration) => statementsOfMigration(migration.text));
    expect(statements.length).toBeGreaterThan(10);
    for (const cutAfter of [Math.floor(statements.length / 2), statements.length]) {
      const url = await server.database();
      const connections = await openConnections(url);
      await connections.session(async (session) => {
        for (const statement of statements.slice(0, cutAfter)) await session.query(statement);
      });
      await connections[Symbol.asyncDispose]();
      const { store } = await opened(url);
      expect(await (await lead(store)).commit({ op: "insertRun", row: run() })).toBe("applied");
    }
  });

  test("on MariaDB: data of a newer release is left alone, by a sentence without the password", async () => {
    const url = await server.database();
    const { connections } = await opened(url);
    await connections.session((session) => session.query("INSERT INTO `migrations` VALUES ('9999_new', 'x')"));
    const error: unknown = await opened(url).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/newer version.*9999_new/);
    expect(String(error)).not.toContain("c@r%t");
  });
});
