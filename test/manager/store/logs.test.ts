import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openFolderLogs } from "../../../manager/store/folder-logs.ts";
import { openMemoryLogs } from "../../../manager/store/memory-logs.ts";
import { StoreError } from "../../../manager/store/store.ts";
import { logStoreContract } from "../../contract/logstore.ts";
import { quickFolder } from "../../kit/quick-folder.ts";

logStoreContract("logs in memory", async () => ({ logs: openMemoryLogs(), close: async () => {} }));

logStoreContract("logs in a folder", async () => {
  const folder = await mkdtemp(join(quickFolder(), "muster-logs-"));
  return { logs: openFolderLogs(folder), close: () => rm(folder, { recursive: true }) };
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(quickFolder(), "muster-logs-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function fileOf(folder: string, name: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true });
  const found = entries.find((entry) => entry.endsWith(name));
  if (!found) throw new Error(`no ${name} in ${folder}`);
  return join(folder, found);
}

const text = (offset: number, value: string) => ({ kind: "bytes", offset, bytes: Buffer.from(value) }) as const;

describe("the folder of logs", () => {
  test("keeps everything for the next process, two levels deep, as plain bytes", async () => {
    const folder = await temporaryFolder();
    const logs = openFolderLogs(folder);
    await logs.append("a1", "stdout", text(0, "plain\n"));
    await logs.append("a1", "stdout", { kind: "gap", offset: 6, length: 4, why: "dropped" });
    const path = await fileOf(folder, "stdout.bytes");
    expect(path.slice(folder.length)).toMatch(/^\/[0-9a-f]{2}\/[0-9a-f]{2}\/a1\/stdout\.bytes$/);
    expect(await readFile(path, "utf8")).toBe("plain\n");
    const again = openFolderLogs(folder);
    expect(await again.append("a1", "stdout", text(10, "more"))).toBe(14);
    expect((await again.read("a1", "stdout", 0, 100)).pieces).toHaveLength(3);
  });

  test("refuses what is no attempt id before it touches the disk", async () => {
    const folder = await temporaryFolder();
    const logs = openFolderLogs(join(folder, "logs"));
    for (const attemptId of ["", "..", "../x", "a/b", "a\0", "a".repeat(37), "a.b"]) {
      for (const verb of [
        logs.append(attemptId, "stdout", text(0, "x")),
        logs.read(attemptId, "stdout", 0, 1),
        logs.remove(attemptId),
      ]) {
        await expect(verb).rejects.toMatchObject({ name: "StoreError", kind: "permanent" });
      }
    }
    expect(await readdir(folder)).toEqual([]);
  });

  test("goes on from the end of a piece that a kill cut short", async () => {
    const folder = await temporaryFolder();
    const logs = openFolderLogs(folder);
    await logs.append("a1", "stdout", text(0, "abcdef"));
    await truncate(await fileOf(folder, "stdout.bytes"), 4);
    expect(await logs.append("a1", "stdout", text(6, "ghi"))).toBe(4);
    expect(await logs.append("a1", "stdout", text(4, "efghi"))).toBe(9);
    expect(
      Buffer.from(
        (await logs.read("a1", "stdout", 0, 100)).pieces.flatMap((piece) => (piece.kind === "bytes" ? [...piece.bytes] : [])),
      ).toString(),
    ).toBe("abcdefghi");
  });

  test("says that bytes before a gap were lost, and keeps every later offset", async () => {
    const folder = await temporaryFolder();
    const logs = openFolderLogs(folder);
    await logs.append("a1", "stdout", text(0, "abcdef"));
    await logs.append("a1", "stdout", { kind: "gap", offset: 6, length: 4, why: "dropped" });
    await truncate(await fileOf(folder, "stdout.bytes"), 2);
    const mended = [
      text(0, "ab"),
      { kind: "gap", offset: 2, length: 4, why: "lost when the manager's host failed" },
      { kind: "gap", offset: 6, length: 4, why: "dropped" },
    ];
    expect(await logs.read("a1", "stdout", 0, 100)).toEqual({ pieces: mended, end: 10 });
    expect(await logs.append("a1", "stdout", text(10, "xyz"))).toBe(13);
    expect(await openFolderLogs(folder).read("a1", "stdout", 0, 100)).toEqual({ pieces: [...mended, text(10, "xyz")], end: 13 });
  });

  test("keeps a bounded number of bytes of a stream; the rest is a gap that says so, and is acknowledged", async () => {
    const logs = openFolderLogs(await temporaryFolder(), { streamBytes: 10 });
    expect(await logs.append("a1", "stdout", text(0, "12345678"))).toBe(8);
    expect(await logs.append("a1", "stdout", text(8, "90abc"))).toBe(13);
    expect(await logs.append("a1", "stdout", text(13, "def"))).toBe(16);
    const { pieces, end } = await logs.read("a1", "stdout", 0, 100);
    expect(end).toBe(16);
    expect(pieces).toEqual([
      text(0, "1234567890"),
      { kind: "gap", offset: 10, length: 6, why: "only the first 10 bytes of a stream are kept" },
    ]);
  });

  test("a disk that fails is an error that passes", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "logs"), "a file where the folder should be");
    const logs = openFolderLogs(join(folder, "logs"));
    const error: unknown = await logs.append("a1", "stdout", text(0, "x")).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ kind: "transient" });
    await rm(join(folder, "logs"));
    expect(await logs.append("a1", "stdout", text(0, "x"))).toBe(1);
  });

  test("two managers that store the same piece at the same time store it once", async () => {
    const folder = await temporaryFolder();
    // As after a pause: the one that led has looked how long the file is, and the one that leads is sent the piece too.
    const both = [openFolderLogs(folder), openFolderLogs(folder)];
    const names = Array.from({ length: 40 }, (_, n) => `a${n}`);
    await Promise.all(names.flatMap((name) => both.map((logs) => logs.append(name, "stdout", text(0, `said by ${name}`)))));
    for (const name of names) expect((await both[0]?.read(name, "stdout", 0, 100))?.pieces).toEqual([text(0, `said by ${name}`)]);
  });
});
