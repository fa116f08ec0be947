import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { workerLimits } from "../../../schema/limits.ts";
import { punchHole } from "../../../worker/logs/free.ts";
import { until } from "../../kit/until.ts";
import { LogRig } from "./rig.ts";

let rig: LogRig;

beforeEach(() => {
  rig = new LogRig();
});

afterEach(() => rig[Symbol.asyncDispose]());

describe("bounds and gaps", () => {
  test("output beyond the task's bound is dropped with a gap of the exact count", async () => {
    const files = rig.files("a");
    writeFileSync(files.stdout, Buffer.alloc(100_000, "a"));
    const logs = rig.shipper();
    logs.track("a", 70_000);
    await until("the first gap, while it runs", () => rig.store.gaps("a", "stdout").length > 0);
    appendFileSync(files.stdout, Buffer.alloc(123_456, "b"));
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => rig.removed.length === 1);
    expect(rig.store.bytes("a", "stdout").byteLength).toBe(70_000);
    const dropped = rig.store.gaps("a", "stdout").reduce((sum, gap) => sum + gap.bytes, 0);
    expect(dropped).toBe(223_456 - 70_000);
  });

  test("unshipped output beyond the spool's bound loses its oldest bytes, and says so", async () => {
    const files = rig.files("a");
    const bytes = randomBytes(90_000);
    writeFileSync(files.stdout, bytes);
    const logs = rig.disconnected({ logSpoolBytes: 50_000 });
    logs.track("a");
    logs.ended("a");
    expect(logs.spoolBytes).toBe(50_000);
    logs.up();
    await until("all of it", () => rig.store.end("a", "stdout") === 90_000);
    expect(rig.store.gaps("a", "stdout")).toEqual([expect.objectContaining({ offset: 0, bytes: 40_000 })]);
    expect(rig.store.bytes("a", "stdout").equals(bytes.subarray(40_000))).toBe(true);
  });

  test("output that never stops keeps its disk bounded, and nothing that is kept is a hole", async () => {
    const files = rig.files("a");
    const logs = rig.shipper();
    logs.track("a", 200_000_000);
    const chunk = Buffer.alloc(8_388_608, "k");
    for (let written = 0; written < 8; written += 1) {
      appendFileSync(files.stdout, chunk);
      await until("the chunk to be shipped", () => rig.store.end("a", "stdout") === (written + 1) * chunk.byteLength);
    }
    await until(
      "shipped bytes to be freed",
      () => statSync(files.stdout).blocks * 512 < 2 * workerLimits.logFreeBytes + chunk.byteLength,
    );
    expect(statSync(files.stdout).size).toBe(8 * chunk.byteLength);
    expect(rig.store.bytes("a", "stdout").every((byte) => byte === 107)).toBe(true);
  });

  test("what grew while bytes were freed is freed as well, when nothing comes after it and nobody is in reach", async () => {
    const files = rig.files("a");
    const piece = workerLimits.logFreeBytes;
    const freed: (readonly [number, number])[] = [];
    const gate = Promise.withResolvers<void>();
    const freeBytes = async (_: string, offset: number, length: number): Promise<void> => {
      freed.push([offset, length]);
      await gate.promise;
    };
    const logs = rig.disconnected({ freeBytes, logSpoolBytes: 0 });
    logs.track("a");
    appendFileSync(files.stdout, Buffer.alloc(piece));
    await until("the first piece to be freed", () => freed.length === 1);
    appendFileSync(files.stdout, Buffer.alloc(2 * piece));
    logs.ended("a");
    gate.resolve();
    await until("the rest to be freed", () => freed.length === 2);
    expect(freed).toEqual([
      [0, piece],
      [piece, 2 * piece],
    ]);
  });

  test("beyond the task's bound the disk is freed as well", async () => {
    const files = rig.files("a");
    const logs = rig.shipper();
    logs.track("a", 1_000);
    for (let written = 0; written < 16; written += 1) appendFileSync(files.stdout, Buffer.alloc(4_194_304, "k"));
    await until("dropped bytes to be freed", () => statSync(files.stdout).blocks * 512 < workerLimits.logFreeBytes);
  });

  test("a host that cannot free bytes is asked a few times and no more; shipping goes on", async () => {
    const files = rig.files("a");
    let asked = 0;
    const logs = rig.disconnected({
      freeBytes: () => {
        asked += 1;
        return Promise.reject(new Error("not here"));
      },
    });
    logs.up();
    logs.track("a", 200_000_000);
    for (let written = 0; written < 5; written += 1) {
      appendFileSync(files.stdout, Buffer.alloc(workerLimits.logFreeBytes, "k"));
      await until("the chunk to be shipped", () => rig.store.end("a", "stdout") === (written + 1) * workerLimits.logFreeBytes);
    }
    expect(asked).toBe(3);
  });

  test("a file that its own process cut becomes a gap", async () => {
    const files = rig.files("a");
    writeFileSync(files.stdout, Buffer.alloc(80_000, "c"));
    const logs = rig.disconnected();
    logs.track("a");
    await until("the growth to be noticed", () => logs.spoolBytes === 80_000);
    truncateSync(files.stdout, 10_000);
    logs.ended("a");
    logs.settle("a");
    logs.up();
    await until("the folder to go", () => rig.removed.length === 1);
    expect(rig.store.bytes("a", "stdout").byteLength).toBe(10_000);
    expect(rig.store.gaps("a", "stdout")).toEqual([expect.objectContaining({ offset: 10_000, bytes: 70_000 })]);
  });
});

describe("a process that puts something else in the place of its output", () => {
  test("a link is not followed, neither by reading nor by freeing", async () => {
    const files = rig.files("a");
    const secret = join(rig.root, "secret");
    writeFileSync(secret, Buffer.alloc(2 * workerLimits.logFreeBytes, "s"));
    const logs = rig.shipper();
    logs.track("a", 10);
    rmSync(files.stdout);
    symlinkSync(secret, files.stdout);
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => rig.removed.length === 1);
    expect(rig.store.end("a", "stdout")).toBe(0);
    symlinkSync(secret, join(rig.root, "link"));
    await expect(punchHole(join(rig.root, "link"), 0, 4_096)).rejects.toThrow("no plain file");
    expect(readFileSync(secret).every((byte) => byte === 115)).toBe(true);
  });

  test("a fifo holds nobody up", async () => {
    const files = rig.files("a");
    writeFileSync(files.stderr, "fine");
    rmSync(files.stdout);
    execFileSync("mkfifo", [files.stdout]);
    const logs = rig.shipper();
    logs.track("a");
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => rig.removed.length === 1);
    expect(rig.store.bytes("a", "stderr").toString()).toBe("fine");
  });
});
