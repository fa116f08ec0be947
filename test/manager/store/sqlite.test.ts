import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import type { RunRecord } from "../../../manager/control/records.ts";
import { lockFolder } from "../../../manager/store/lock.ts";
import { migrationsOf } from "../../../manager/store/migrations.ts";
import { CommitFailed } from "../../../manager/store/sqlite/file.ts";
import { storeErrorOf } from "../../../manager/store/sqlite/errors.ts";
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import { StoreError, type Store } from "../../../manager/store/store.ts";
import { quickFolder } from "../../kit/quick-folder.ts";
import { until } from "../../kit/until.ts";
import { event, lead, pool, run, task } from "../../contract/store/rows.ts";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(quickFolder(), "muster-sqlite-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function opened(file: string): Promise<Store> {
  const store = await openSqliteStore({ file, busyMs: 0 });
  onTestFinished(() => store[Symbol.asyncDispose]());
  return store;
}

async function failure(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

/** Another process that commits for ever, and the numbers that it said held. */
function committer(file: string, size: number): { readonly child: ChildProcess; readonly held: number[] } {
  const child = spawn(process.execPath, [new URL("committer.ts", import.meta.url).pathname, file, String(size)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const held: number[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => held.push(Number(line)));
  return { child, held };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

async function runsOf(store: Store, first: number): Promise<readonly RunRecord[]> {
  return (await store.runs({ limit: 200, cursor: null, label: { key: "first", value: String(first) } })).items;
}

describe("the SQLite store", () => {
  test("after kill -9 in the middle of commits has whole batches only, all that were answered among them, and is free", async () => {
    const file = join(temporaryFolder(), "muster.db");
    const size = 150;
    const answered: number[] = [];
    for (const commits of [1, 7, 4]) {
      const { child, held } = committer(file, size);
      // Each waits for its disk, which a busy one makes long.
      await until("so many commits", () => held.length >= commits, 60_000);
      await kill(child);
      answered.push(...held);
    }
    const store = await opened(file);
    const { queued } = await store.loadLive(pool);
    expect(queued % size).toBe(0);
    expect((await store.readLease(pool))?.batch).toBe(queued / size);
    for (let first = 1; first <= queued; first += size) expect(await runsOf(store, first)).toHaveLength(size);
    for (const first of answered) expect(first + size - 1).toBeLessThanOrEqual(queued);
    expect((await store.check()).every((check) => check.ok)).toBe(true);
  }, 120_000);

  test("is refused, with a sentence, to a second process and to the same one, and not when it is closed", async () => {
    const file = join(temporaryFolder(), "muster.db");
    const { child, held } = committer(file, 1);
    await until("a commit", () => held.length > 0);
    expect((await failure(openSqliteStore({ file }))).message).toMatch(
      /^Another manager uses the data folder .*MUSTER_DATA_DIR.*SQLite serves one manager, MariaDB several/,
    );
    await kill(child);
    const store = await opened(file);
    expect((await failure(openSqliteStore({ file }))).message).toMatch(/^Another manager/);
    expect(await (await lead(store)).commit()).toBe("applied");
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await opened(file);
  });

  test("does not touch the database of a folder that another holds", async () => {
    const folder = temporaryFolder();
    const lock = lockFolder(folder);
    onTestFinished(() => lock.release());
    await failure(openSqliteStore({ file: join(folder, "muster.db") }));
    expect(() => new DatabaseSync(join(folder, "muster.db"), { readOnly: true })).toThrow();
  });

  test("once closed says so as an error that passes", async () => {
    const store = await opened(join(temporaryFolder(), "muster.db"));
    const leader = await lead(store);
    await store[Symbol.asyncDispose]();
    for (const call of [
      leader.commit(),
      store.run("r1"),
      store.runs({ limit: 1, cursor: null }),
      store.secret("x"),
      store.putBody("x", new Uint8Array(1)),
    ]) {
      expect(await failure(call)).toMatchObject({ name: "StoreError", kind: "transient", outcomeKnown: true });
    }
    expect((await store.check())[0]).toMatchObject({ ok: false, sentence: "The database is closed." });
  });

  test("is readable to its own user alone, its log too", async () => {
    const file = join(temporaryFolder(), "muster.db");
    const store = await opened(file);
    await (await lead(store)).commit();
    for (const path of [file, `${file}-wal`]) expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
  });

  test("keeps commits durable: WAL and synchronous=FULL", async () => {
    const file = join(temporaryFolder(), "muster.db");
    const store = await opened(file);
    expect(await store.check()).toMatchObject([
      { name: "database", ok: true },
      { name: "durability", ok: true, sentence: expect.stringContaining("WAL") },
    ]);
  });
});

describe("migrations", () => {
  test("are applied once, and the data stays", async () => {
    const file = join(temporaryFolder(), "muster.db");
    const names: string[] = [];
    const all = migrationsOf("sqlite").map(({ name }) => name);
    const first = await openSqliteStore({ file, onMigrated: (name) => names.push(name) });
    await (await lead(first)).commit({ op: "insertTask", row: task() });
    await first[Symbol.asyncDispose]();
    expect(names).toEqual(all);
    const second = await openSqliteStore({ file, onMigrated: (name) => names.push(name) });
    onTestFinished(() => second[Symbol.asyncDispose]());
    expect(names).toEqual(all);
    expect(await second.task("t1")).toEqual(task());
  });

  test.for([
    {
      what: "a newer release's",
      change: "INSERT INTO migrations VALUES ('9999_later', 'x')",
      sentence: /database is of a newer version: it has the migration 9999_later/,
    },
    {
      what: "a reworded one",
      change: "UPDATE migrations SET sha256 = 'x'",
      sentence: /migration 0001_first was applied in another wording/,
    },
  ])("$what stops the start with a sentence, changes nothing and frees the folder", async ({ change, sentence }) => {
    const file = join(temporaryFolder(), "muster.db");
    await (await openSqliteStore({ file }))[Symbol.asyncDispose]();
    const other = new DatabaseSync(file);
    other.exec(change);
    other.close();
    expect((await failure(openSqliteStore({ file }))).message).toMatch(sentence);
    expect((await failure(openSqliteStore({ file }))).message).toMatch(sentence);
  });

  test("a file that is no database stops the start with a sentence and is left as it is", async () => {
    const file = join(temporaryFolder(), "muster.db");
    writeFileSync(file, "this is a letter to a friend, and longer than the header of a database is. ".repeat(20));
    expect((await failure(openSqliteStore({ file }))).message).toMatch(
      /muster\.db cannot be opened\. file is not a database\. Put a backup of .* back, or move it away/,
    );
  });
});

describe("errors", () => {
  test("a value of the wrong type is permanent", async () => {
    const store = await opened(join(temporaryFolder(), "muster.db"));
    const leader = await lead(store);
    for (const createdAt of ["yesterday", 1.5, Number.NaN, {}]) {
      const error = await failure(leader.commit({ op: "insertRun", row: run({ createdAt: createdAt as number }) }));
      expect(error, JSON.stringify(createdAt)).toMatchObject({ name: "StoreError", kind: "permanent", outcomeKnown: true });
    }
    expect(await leader.commit({ op: "insertRun", row: run() })).toBe("applied");
  });

  test("a file that another process writes to is an error that passes, and the same batch holds later", async () => {
    const file = join(temporaryFolder(), "muster.db");
    const store = await opened(file);
    const leader = await lead(store);
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    expect(await failure(leader.commit({ op: "insertRun", row: run() }))).toMatchObject({
      kind: "transient",
      outcomeKnown: true,
    });
    expect(await store.run("r1")).toBeNull();
    other.exec("ROLLBACK");
    other.close();
    expect(await leader.commit({ op: "insertRun", row: run() })).toBe("applied");
  });

  test("a full disk is an error that passes: nothing of the batch is there, reads go on, and it holds once there is room", async (ctx) => {
    const folder = temporaryFolder();
    try {
      execFileSync("/bin/mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], { stdio: "pipe" });
    } catch (error) {
      return ctx.skip(`a small tmpfs cannot be mounted here: ${String(error)}`);
    }
    onTestFinished(() => void execFileSync("/bin/umount", [folder]));
    const store = await openSqliteStore({ file: join(folder, "muster.db") });
    try {
      const leader = await lead(store);
      await leader.commit({ op: "insertRun", row: run() });
      expect(() => {
        for (;;) appendFileSync(join(folder, "filler"), Buffer.alloc(65_536));
      }).toThrow(/ENOSPC/);
      const batch = [
        { op: "insertRun", row: run({ id: "r2", order: 2 }) },
        { op: "insertEvent", row: event({ data: { text: "x".repeat(1_000_000) } }) },
      ] as const;
      for (let tries = 0; tries < 3; tries += 1) {
        const error = await failure(leader.commit(...batch));
        expect(error).toMatchObject({ name: "StoreError", kind: "transient" });
        expect((await store.runs({ limit: 9, cursor: null })).items.map((one) => one.id)).toEqual(["r1"]);
      }
      rmSync(join(folder, "filler"));
      expect(await leader.commit(...batch)).toBe("applied");
      expect(await store.run("r2")).not.toBeNull();
    } finally {
      await store[Symbol.asyncDispose]();
    }
  });

  const sqliteError = (errcode: number): Error =>
    Object.assign(new Error(`code ${errcode}`), { code: "ERR_SQLITE_ERROR", errcode });

  test.for([
    { codes: [18, 19, 20, 1555, 2067, 3091], kind: "permanent" },
    { codes: [5, 6, 7, 8, 9, 10, 13, 14, 15, 261, 517, 264, 778, 4106], kind: "transient" },
  ])("codes $codes are $kind", ({ codes, kind }) => {
    for (const code of codes) {
      const error = storeErrorOf(sqliteError(code));
      expect(error, String(code)).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({ kind, outcomeKnown: true });
    }
  });

  test("codes that nobody classified are left to whoever counts them", () => {
    for (const code of [1, 2, 11, 26]) {
      const error = sqliteError(code);
      expect(storeErrorOf(error)).toBe(error);
    }
  });

  test("only an I/O error of the commit itself leaves the outcome open", () => {
    const duringCommit = (code: number): unknown => storeErrorOf(new CommitFailed("commit", { cause: sqliteError(code) }));
    expect(duringCommit(10)).toMatchObject({ kind: "transient", outcomeKnown: false });
    expect(duringCommit(1034)).toMatchObject({ kind: "transient", outcomeKnown: false });
    expect(duringCommit(13)).toMatchObject({ kind: "transient", outcomeKnown: true });
    expect(duringCommit(5)).toMatchObject({ kind: "transient", outcomeKnown: true });
  });
});
