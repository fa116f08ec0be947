import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { processClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { wireLimits, workerLimits } from "../../../schema/limits.ts";
import { punchHole, type FreeBytes } from "../../../worker/logs/free.ts";
import type { LogPiece } from "../../../worker/logs/piece.ts";
import { openPositions } from "../../../worker/logs/positions.ts";
import { LogShipper } from "../../../worker/logs/shipper.ts";
import { until } from "../../kit/until.ts";
import { ManagerStore } from "./manager-store.ts";

let root: string;
let store: ManagerStore;
let sent: LogPiece[];
let removed: string[];
/** What becomes of a piece on the wire: false is lost. */
let wire: (piece: LogPiece) => boolean;
let mono: number;
const open: LogShipper[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "muster-logs-"));
  store = new ManagerStore();
  sent = [];
  removed = [];
  wire = () => true;
  mono = 0;
});

afterEach(async () => {
  for (const shipper of open.splice(0)) await shipper[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

/** An agent's shipper. Its clock runs with the process's, plus whatever a test adds to `mono`. */
function shipper(options: { readonly freeBytes?: FreeBytes; readonly logSpoolBytes?: number } = {}): LogShipper {
  const made: LogShipper = new LogShipper({
    folderOf: (attempt) => join(root, attempt),
    remove: async (attempt) => {
      removed.push(attempt);
      await rm(join(root, attempt), { recursive: true });
    },
    send: (piece) => {
      sent.push(piece);
      if (!wire(piece)) return;
      const end = store.append(piece);
      queueMicrotask(() => made.acked(piece.attempt, piece.stream, end));
    },
    freeBytes: options.freeBytes ?? punchHole,
    positions: openPositions(join(root, "shipped")),
    logSpoolBytes: options.logSpoolBytes ?? workerLimits.logSpoolBytes,
    clock: { now: () => ({ mono: processClock.now().mono + mono, wall: 0 }) },
    log: silentLog(),
  });
  open.push(made);
  return made;
}

function attempt(id: string): { readonly stdout: string; readonly stderr: string } {
  mkdirSync(join(root, id));
  const files = { stdout: join(root, id, "stdout"), stderr: join(root, id, "stderr") };
  writeFileSync(files.stdout, "");
  writeFileSync(files.stderr, "");
  return files;
}

/** Whether this process has an inotify watch on the file: /proc/self/fdinfo lists them by inode. */
function isWatched(file: string): boolean {
  const inode = `ino:${statSync(file).ino.toString(16)} `;
  return readdirSync("/proc/self/fdinfo").some((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, "latin1").includes(inode);
    } catch {
      return false; // Closed meanwhile.
    }
  });
}

describe("shipping", () => {
  test("both streams arrive byte for byte, also binary ones and lines of 10 MB, and then the folder goes", async () => {
    const files = attempt("a");
    const binary = randomBytes(300_000);
    const line = Buffer.alloc(10_485_760, "x");
    const logs = shipper();
    logs.up();
    logs.track("a");
    appendFileSync(files.stdout, binary);
    await until("the first output to be shipped while the process runs", () => store.end("a", "stdout") === binary.byteLength);
    appendFileSync(files.stdout, line);
    appendFileSync(files.stderr, "\u0000oops\n");
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => !existsSync(join(root, "a")));
    expect(store.bytes("a", "stdout").equals(Buffer.concat([binary, line]))).toBe(true);
    expect(store.bytes("a", "stderr").toString()).toBe("\u0000oops\n");
    expect(Math.max(...sent.map((piece) => piece.bytes.length))).toBeLessThanOrEqual(wireLimits.logChunkBase64Bytes);
  });

  test("the folder stays until the end is settled and the last byte is acknowledged", async () => {
    const files = attempt("a");
    writeFileSync(files.stdout, "hello");
    wire = () => false;
    const logs = shipper();
    logs.up();
    logs.track("a");
    logs.ended("a");
    logs.settle("a");
    await until("the piece to be sent", () => sent.length === 1);
    expect(removed).toEqual([]);
    logs.acked("a", "stdout", 4);
    expect(removed).toEqual([]);
    logs.acked("a", "stdout", 5);
    expect(removed).toEqual(["a"]);
  });

  test("output after a long silence is noticed", async () => {
    const files = attempt("a");
    const logs = shipper();
    logs.up();
    logs.track("a");
    appendFileSync(files.stdout, "early");
    await until("the early output", () => store.end("a", "stdout") === 5);
    // From now on its last growth lies long ago: the next look leaves it to the kernel.
    mono += 60_000;
    await until("the kernel to watch the file", () => isWatched(files.stdout));
    appendFileSync(files.stdout, " late");
    await until("the late output", () => store.bytes("a", "stdout").toString() === "early late");
  });

  test("a lost piece is sent again, ever more rarely", async () => {
    const files = attempt("a");
    writeFileSync(files.stdout, "lost at first");
    let losses = 2;
    wire = () => losses-- <= 0;
    const logs = shipper();
    logs.up();
    logs.track("a");
    logs.ended("a");
    await until("the first send", () => sent.length === 1);
    mono += 2_100;
    await until("the second send", () => sent.length === 2);
    // Half of the doubled pause: nothing yet, as the next sweeps find it not due.
    mono += 4_100;
    await until("the third send", () => sent.length === 3);
    expect(store.bytes("a", "stdout").toString()).toBe("lost at first");
  });

  test("what was on the wire when the connection broke goes out again", async () => {
    const files = attempt("a");
    writeFileSync(files.stdout, Buffer.alloc(100_000, "y"));
    wire = () => false;
    const logs = shipper();
    logs.up();
    logs.track("a");
    logs.ended("a");
    await until("all three pieces to be on the wire", () => sent.length === 3);
    logs.down();
    wire = () => true;
    logs.up();
    await until("the rest", () => store.end("a", "stdout") === 100_000);
  });

  test("streams take turns, and one that nobody acknowledges does not hold up the others", async () => {
    const talkative = attempt("talkative");
    writeFileSync(talkative.stdout, Buffer.alloc(2_000_000, "t"));
    const ids = Array.from({ length: 20 }, (_, index) => `small-${index}`);
    for (const id of ids) writeFileSync(attempt(id).stdout, `output of ${id}`);
    wire = (piece) => piece.attempt !== "talkative";
    const logs = shipper();
    logs.track("talkative");
    for (const id of ids) logs.track(id);
    for (const id of ["talkative", ...ids]) logs.ended(id);
    logs.up();
    await until("every small one", () => ids.every((id) => store.bytes(id, "stdout").toString() === `output of ${id}`));
    const onWire = sent.filter((piece) => piece.attempt === "talkative").reduce((sum, piece) => sum + Buffer.from(piece.bytes, "base64").byteLength, 0);
    expect(onWire).toBeLessThanOrEqual(workerLimits.logStreamInFlightBytes + 34_560);
  });

  test("no more than the bound is on the wire, over all attempts", async () => {
    const ids = Array.from({ length: 30 }, (_, index) => `a-${index}`);
    for (const id of ids) writeFileSync(attempt(id).stdout, Buffer.alloc(200_000, "z"));
    wire = () => false;
    const logs = shipper();
    for (const id of ids) logs.track(id);
    for (const id of ids) logs.ended(id);
    logs.up();
    await until("the wire to be full", () => sent.length >= 8);
    await new Promise((resolve) => setImmediate(resolve));
    const onWire = sent.reduce((sum, piece) => sum + Buffer.from(piece.bytes, "base64").byteLength, 0);
    expect(onWire).toBeLessThanOrEqual(workerLimits.logInFlightBytes + 34_560);
    expect(logs.spoolBytes).toBe(30 * 200_000);
  });
});

describe("bounds and gaps", () => {
  test("output beyond the task's bound is dropped with a gap of the exact count", async () => {
    const files = attempt("a");
    writeFileSync(files.stdout, Buffer.alloc(100_000, "a"));
    const logs = shipper();
    logs.up();
    logs.track("a", 70_000);
    await until("the first gap, while it runs", () => store.gaps("a", "stdout").length > 0);
    appendFileSync(files.stdout, Buffer.alloc(123_456, "b"));
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => removed.length === 1);
    expect(store.bytes("a", "stdout").byteLength).toBe(70_000);
    const dropped = store.gaps("a", "stdout").reduce((sum, gap) => sum + gap.bytes, 0);
    expect(dropped).toBe(223_456 - 70_000);
  });

  test("unshipped output beyond the spool's bound loses its oldest bytes, and says so", async () => {
    const files = attempt("a");
    const bytes = randomBytes(90_000);
    writeFileSync(files.stdout, bytes);
    const logs = shipper({ logSpoolBytes: 50_000 });
    logs.track("a");
    logs.ended("a");
    expect(logs.spoolBytes).toBe(50_000);
    logs.up();
    await until("all of it", () => store.end("a", "stdout") === 90_000);
    expect(store.gaps("a", "stdout")).toEqual([expect.objectContaining({ offset: 0, bytes: 40_000 })]);
    expect(store.bytes("a", "stdout").equals(bytes.subarray(40_000))).toBe(true);
  });

  test("output that never stops keeps its disk bounded, and nothing that is kept is a hole", async () => {
    const files = attempt("a");
    const logs = shipper();
    logs.up();
    logs.track("a", 200_000_000);
    const chunk = Buffer.alloc(8_388_608, "k");
    for (let written = 0; written < 8; written += 1) {
      appendFileSync(files.stdout, chunk);
      await until("the chunk to be shipped", () => store.end("a", "stdout") === (written + 1) * chunk.byteLength);
    }
    await until("shipped bytes to be freed", () => statSync(files.stdout).blocks * 512 < 2 * workerLimits.logFreeBytes + chunk.byteLength);
    expect(statSync(files.stdout).size).toBe(8 * chunk.byteLength);
    expect(store.bytes("a", "stdout").every((byte) => byte === 107)).toBe(true);
  });

  test("beyond the task's bound the disk is freed as well", async () => {
    const files = attempt("a");
    const logs = shipper();
    logs.up();
    logs.track("a", 1_000);
    for (let written = 0; written < 16; written += 1) appendFileSync(files.stdout, Buffer.alloc(4_194_304, "k"));
    await until("dropped bytes to be freed", () => statSync(files.stdout).blocks * 512 < workerLimits.logFreeBytes);
  });

  test("a host that cannot free bytes is asked a few times and no more; shipping goes on", async () => {
    const files = attempt("a");
    let asked = 0;
    const logs = shipper({
      freeBytes: () => {
        asked += 1;
        return Promise.reject(new Error("not here"));
      },
    });
    logs.up();
    logs.track("a", 200_000_000);
    for (let written = 0; written < 5; written += 1) {
      appendFileSync(files.stdout, Buffer.alloc(workerLimits.logFreeBytes, "k"));
      await until("the chunk to be shipped", () => store.end("a", "stdout") === (written + 1) * workerLimits.logFreeBytes);
    }
    expect(asked).toBe(3);
  });

  test("a file that its own process cut becomes a gap", async () => {
    const files = attempt("a");
    writeFileSync(files.stdout, Buffer.alloc(80_000, "c"));
    const logs = shipper();
    logs.track("a");
    await until("the growth to be noticed", () => logs.spoolBytes === 80_000);
    truncateSync(files.stdout, 10_000);
    logs.ended("a");
    logs.settle("a");
    logs.up();
    await until("the folder to go", () => removed.length === 1);
    expect(store.bytes("a", "stdout").byteLength).toBe(10_000);
    expect(store.gaps("a", "stdout")).toEqual([expect.objectContaining({ offset: 10_000, bytes: 70_000 })]);
  });
});

describe("a process that puts something else in the place of its output", () => {
  test("a link is not followed, neither by reading nor by freeing", async () => {
    const files = attempt("a");
    const secret = join(root, "secret");
    writeFileSync(secret, Buffer.alloc(2 * workerLimits.logFreeBytes, "s"));
    const logs = shipper();
    logs.up();
    logs.track("a", 10);
    rmSync(files.stdout);
    symlinkSync(secret, files.stdout);
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => removed.length === 1);
    expect(store.end("a", "stdout")).toBe(0);
    symlinkSync(secret, join(root, "link"));
    await expect(punchHole(join(root, "link"), 0, 4_096)).rejects.toThrow("no plain file");
    expect(readFileSync(secret).every((byte) => byte === 115)).toBe(true);
  });

  test("a fifo holds nobody up", async () => {
    const files = attempt("a");
    writeFileSync(files.stderr, "fine");
    rmSync(files.stdout);
    execFileSync("mkfifo", [files.stdout]);
    const logs = shipper();
    logs.up();
    logs.track("a");
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => removed.length === 1);
    expect(store.bytes("a", "stderr").toString()).toBe("fine");
  });
});

describe("over an agent's life", () => {
  test("a later agent goes on: what the manager has is passed over and nothing is missing", async () => {
    const files = attempt("a");
    const first = randomBytes(500_000);
    writeFileSync(files.stdout, first);
    const before = shipper();
    before.up();
    before.track("a");
    await until("the first part", () => store.end("a", "stdout") === 500_000);
    await before[Symbol.asyncDispose]();
    const second = randomBytes(500_000);
    appendFileSync(files.stdout, second);
    sent.length = 0;
    const after = shipper();
    after.track("a");
    after.ended("a");
    after.up();
    await until("the second part", () => store.end("a", "stdout") === 1_000_000);
    expect(store.bytes("a", "stdout").equals(Buffer.concat([first, second]))).toBe(true);
    // The first ack tells where the manager's end is; little is sent twice.
    expect(sent.length).toBeLessThan(25);
  });

  test("a later agent never takes a hole for output", async () => {
    const files = attempt("a");
    const size = 2 * workerLimits.logFreeBytes;
    writeFileSync(files.stdout, Buffer.alloc(size, "h"));
    const before = shipper();
    before.up();
    before.track("a");
    await until("all to be shipped and freed", () => store.end("a", "stdout") === size && statSync(files.stdout).blocks * 512 < size / 2);
    await before[Symbol.asyncDispose]();
    expect(JSON.parse(readFileSync(join(root, "shipped", "a.json"), "utf8")).stdout.acked).toBeGreaterThanOrEqual(workerLimits.logFreeBytes);
    // The manager's store was taken back: what the disk has forgotten is a gap, the rest comes again.
    store.takeBack("a", "stdout", 1_000);
    const after = shipper();
    after.track("a");
    after.ended("a");
    after.up();
    await until("the manager to have it all", () => {
      mono += 3_000;
      return store.end("a", "stdout") === size;
    });
    expect(store.bytes("a", "stdout").every((byte) => byte === 104)).toBe(true);
    expect(store.gaps("a", "stdout").length).toBeGreaterThan(0);
  });
});
