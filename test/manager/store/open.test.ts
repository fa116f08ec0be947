import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openStore, type OpenedStore } from "../../../manager/store/open.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { lead, task } from "../../contract/store/rows.ts";
import { quickFolder } from "../../kit/quick-folder.ts";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(quickFolder(), "muster-open-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function opened(url: string, dataDir: string): Promise<OpenedStore> {
  const both = await openStore(url, { dataDir, log: silentLog() });
  onTestFinished(() => both.store[Symbol.asyncDispose]());
  return both;
}

const piece = { kind: "bytes", offset: 0, bytes: Buffer.from("out") } as const;

describe("openStore", () => {
  test("sqlite: keeps runs and logs in the data folder for the next start", async () => {
    const dataDir = join(temporaryFolder(), "made", "anew");
    const first = await opened("sqlite:", dataDir);
    await (await lead(first.store)).commit({ op: "insertTask", row: task() });
    await first.logs.append("a1", "stdout", piece);
    await first.store[Symbol.asyncDispose]();
    expect(existsSync(join(dataDir, "muster.db"))).toBe(true);
    const second = await opened("sqlite:", dataDir);
    expect(await second.store.task("t1")).toEqual(task());
    expect((await second.logs.read("a1", "stdout", 0, 9)).end).toBe(3);
  });

  test("sqlite:<path> is a file from the data folder or an absolute one", async () => {
    const folder = temporaryFolder();
    await (await opened("sqlite:other.db", join(folder, "data"))).store[Symbol.asyncDispose]();
    expect(existsSync(join(folder, "data", "other.db"))).toBe(true);
    await (await opened(`sqlite://${join(folder, "elsewhere", "x.db")}`, join(folder, "data"))).store[Symbol.asyncDispose]();
    expect(existsSync(join(folder, "elsewhere", "x.db"))).toBe(true);
  });

  test.for(["memory:", "sqlite:", "sqlite:sub/x.db"])("%s leads alone in its data folder, and frees it", async (url) => {
    const dataDir = temporaryFolder();
    const first = await opened(url, dataDir);
    for (const other of ["memory:", "sqlite:", "sqlite:y.db"])
      await expect(openStore(other, { dataDir, log: silentLog() })).rejects.toThrow(/^Another manager uses/);
    await first.store[Symbol.asyncDispose]();
    await opened(url, dataDir);
  });

  test("two data folders do not share a database file", async () => {
    const folder = temporaryFolder();
    await opened(`sqlite:${join(folder, "shared", "x.db")}`, join(folder, "a"));
    await expect(
      openStore(`sqlite:${join(folder, "shared", "x.db")}`, { dataDir: join(folder, "b"), log: silentLog() }),
    ).rejects.toThrow(/^Another manager uses/);
    await opened("sqlite:", join(folder, "b"));
  });

  test("under whatever name a database file is led, it is led once", async () => {
    const folder = temporaryFolder();
    symlinkSync(join(folder, "disk", "x.db"), join(folder, "dangling.db"));
    // Its folder is made by the first start, through the link.
    await opened(`sqlite:${join(folder, "dangling.db")}`, join(folder, "a"));
    expect(existsSync(join(folder, "disk", "x.db"))).toBe(true);
    symlinkSync(join(folder, "disk"), join(folder, "mount"));
    symlinkSync(join(folder, "mount", "x.db"), join(folder, "link.db"));
    for (const name of ["disk/x.db", "mount/x.db", "link.db", "dangling.db"])
      await expect(
        openStore(`sqlite:${join(folder, name)}`, { dataDir: join(folder, "b"), log: silentLog() }),
        name,
      ).rejects.toThrow(/^Another manager uses/);
  });

  test("a data folder behind a link is one folder", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "disk"));
    symlinkSync(join(folder, "disk"), join(folder, "data"));
    await opened("sqlite:", join(folder, "data"));
    await expect(openStore("sqlite:", { dataDir: join(folder, "disk"), log: silentLog() })).rejects.toThrow(
      /^Another manager uses/,
    );
  });

  test("memory: begins with nothing, logs included", async () => {
    const dataDir = temporaryFolder();
    const first = await opened("memory:", dataDir);
    await (await lead(first.store)).commit({ op: "insertTask", row: task() });
    await first.logs.append("a1", "stdout", piece);
    expect((await first.logs.read("a1", "stdout", 0, 9)).end).toBe(3);
    await first.store[Symbol.asyncDispose]();
    const second = await opened("memory:", dataDir);
    expect(await second.store.task("t1")).toBeNull();
    expect((await second.logs.read("a1", "stdout", 0, 9)).end).toBe(0);
  });

  test.for([
    ["mysql://muster:secret@db", /MUSTER_DATABASE_URL/],
    [
      "postgres://muster:secret@db/muster",
      /MUSTER_DATABASE_URL begins with "postgres:"; it must be memory:, sqlite:, sqlite:<path> or mysql:/,
    ],
    ["", /MUSTER_DATABASE_URL begins with ""/],
    ["sqlite::memory:", /Write memory:/],
  ] as const)("%s is refused by a sentence that gives no password away", async ([url, sentence]) => {
    const dataDir = join(temporaryFolder(), "data");
    const error: unknown = await openStore(url, { dataDir, log: silentLog() }).catch((reason: unknown) => reason);
    expect((error as Error).message).toMatch(sentence);
    expect((error as Error).message).not.toContain("secret");
    expect(existsSync(dataDir)).toBe(false);
  });
});
