/** What the doctor sees in folders and files, beside processes that use them. */
import { appendFileSync, chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseCheck } from "../../cli/checks/database.ts";
import { made, type Finding } from "../../cli/checks/finding.ts";
import { folderCheck } from "../../cli/checks/folder.ts";
import { journalCheck } from "../../cli/checks/journal.ts";
import { openSqliteStore } from "../../manager/store/sqlite/store.ts";
import { openJournal } from "../../worker/journal.ts";
import { lockFolder } from "../../worker/lock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const status = (found: readonly Finding[]): Record<string, string> =>
  Object.fromEntries(found.map((one) => [one.name, one.status]));
const sentence = (found: readonly Finding[], name: string): string => found.find((one) => one.name === name)?.sentence ?? "";

test("a data folder that is not there, or that others may read", async () => {
  expect(status(await made(folderCheck(join(folder, "none"))))).toEqual({ folder: "fail" });
  expect(existsSync(join(folder, "none"))).toBe(false);
  chmodSync(folder, 0o755);
  expect(status(await made(folderCheck(folder)))["folder"]).toBe("warn");
  chmodSync(folder, 0o711);
  expect(status(await made(folderCheck(folder)))["folder"]).toBe("pass");
});

describe("a worker's folder", () => {
  test("with an agent on it is not touched: the agent goes on writing", async () => {
    const lock = lockFolder(folder);
    const journal = openJournal(folder, { wall: 1 });
    const found = await made(journalCheck(folder));
    expect(sentence(found, "worker:journal")).toContain("an agent runs");
    journal.write([{ write: "report", report: { seq: 1, attempt: "a", body: "{}" } }]);
    journal.close();
    lock.release();
    expect(sentence(await made(journalCheck(folder)), "worker:journal")).toBe(
      "the journal is whole: 0 attempts in its ledger, 1 reports that nobody has acknowledged",
    );
    // Neither look has counted as a start of the agent.
    expect(openJournal(folder, { wall: 1 }).meta.n).toBe(2);
  });

  test("whose journal was killed in the middle is read with what its log holds", async () => {
    const journal = openJournal(folder, { wall: 1 });
    journal.write([{ write: "report", report: { seq: 1, attempt: "a", body: "{}" } }]);
    // As after kill -9: the lock is free and the log was not written back.
    const files = ["journal.db", "journal.db-wal"].map((name) => join(folder, name));
    for (const file of files) copyFileSync(file, `${file}.kept`);
    journal.close();
    for (const file of files) copyFileSync(`${file}.kept`, file);
    const found = await made(journalCheck(folder));
    expect(sentence(found, "worker:journal")).toContain("1 reports");
  });

  test("with a broken journal, with one moved aside, and without its reserve", async () => {
    openJournal(folder, { wall: 1 }).close();
    writeFileSync(join(folder, "journal.db"), "not a database, by far not, but long enough to look at it for a while".repeat(50));
    writeFileSync(join(folder, "journal.db.corrupt-3"), "");
    rmSync(join(folder, "journal.reserve"));
    const found = await made(journalCheck(folder));
    expect(status(found)).toMatchObject({
      "worker:journal": "fail",
      "worker:aside": "warn",
      "worker:reserve": "fail",
      "worker:agent": "fail",
    });
    expect(sentence(found, "worker:aside")).toContain("journal.db.corrupt-3");
  });
});

describe("a SQLite database", () => {
  const asked = () => ({ databaseUrl: `sqlite:${join(folder, "muster.db")}`, pools: ["default"], leaseStillMs: 100 });

  test("beside the manager that leads with it, and without one", async () => {
    expect(status(await made(databaseCheck(asked())))).toEqual({ database: "fail" });
    const store = await openSqliteStore({ file: join(folder, "muster.db") });
    await store.takeLease("default", "manager-x", null, 0);
    expect(status(await made(databaseCheck(asked())))).toEqual({
      database: "pass",
      "database:migrated": "pass",
      "lease:default": "pass",
    });
    expect(status(await made(databaseCheck({ ...asked(), pools: ["default", "edge"] })))).toMatchObject({ "lease:edge": "fail" });
    expect((await store.takeLease("default", "manager-x", await store.readLease("default"), 0))?.term).toBe(2);
    await store[Symbol.asyncDispose]();
    const found = await made(databaseCheck(asked()));
    expect(status(found)).toMatchObject({ database: "pass", "lease:default": "fail" });
    expect(sentence(found, "lease:default")).toContain("nobody leads");
  });

  test("of a newer release, of an older one, and a file that is none", async () => {
    await (await openSqliteStore({ file: join(folder, "muster.db") }))[Symbol.asyncDispose]();
    const database = new DatabaseSync(join(folder, "muster.db"));
    database.exec("DELETE FROM migrations WHERE name LIKE '0004%'");
    expect(status(await made(databaseCheck(asked())))["database:migrated"]).toBe("warn");
    database.exec("INSERT INTO migrations VALUES ('9999_tomorrow', 'x')");
    database.close();
    expect(sentence(await made(databaseCheck(asked())), "database")).toContain("newer version");
    rmSync(join(folder, "muster.db"));
    appendFileSync(join(folder, "muster.db"), "this is no database at all".repeat(100));
    expect(status(await made(databaseCheck(asked())))).toEqual({ database: "fail" });
  });
});
