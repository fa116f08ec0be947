import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { wireLimits, workerLimits } from "../../../schema/limits.ts";
import type { LogPiece } from "../../../worker/logs/piece.ts";
import { until } from "../../kit/until.ts";
import { LogRig } from "./rig.ts";

let rig: LogRig;

beforeEach(() => {
  rig = new LogRig();
});

afterEach(() => rig[Symbol.asyncDispose]());

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
    const files = rig.files("a");
    const binary = randomBytes(300_000);
    const line = Buffer.alloc(10_485_760, "x");
    const logs = rig.shipper();
    logs.track("a");
    appendFileSync(files.stdout, binary);
    await until(
      "the first output to be shipped while the process runs",
      () => rig.store.end("a", "stdout") === binary.byteLength,
    );
    appendFileSync(files.stdout, line);
    appendFileSync(files.stderr, "\u0000oops\n");
    logs.ended("a");
    logs.settle("a");
    await until("the folder to go", () => !existsSync(join(rig.root, "a")));
    expect(rig.store.bytes("a", "stdout").equals(Buffer.concat([binary, line]))).toBe(true);
    expect(rig.store.bytes("a", "stderr").toString()).toBe("\u0000oops\n");
    expect(Math.max(...rig.sent.map((piece) => piece.bytes.length))).toBeLessThanOrEqual(wireLimits.logChunkBase64Bytes);
  });

  test("the folder stays until the end is settled and the last byte is acknowledged", async () => {
    const files = rig.files("a");
    writeFileSync(files.stdout, "hello");
    rig.wire = () => false;
    const logs = rig.shipper();
    logs.track("a");
    logs.ended("a");
    logs.settle("a");
    await until("the piece to be sent", () => rig.sent.length === 1);
    expect(rig.removed).toEqual([]);
    logs.acked("a", "stdout", 4);
    expect(rig.removed).toEqual([]);
    logs.acked("a", "stdout", 5);
    expect(rig.removed).toEqual(["a"]);
  });

  test("output after a long silence is noticed", async () => {
    const files = rig.files("a");
    const logs = rig.shipper();
    logs.track("a");
    appendFileSync(files.stdout, "early");
    await until("the early output", () => rig.store.end("a", "stdout") === 5);
    // From now on its last growth lies long ago: the next look leaves it to the kernel.
    rig.aheadMs += 60_000;
    await until("the kernel to watch the file", () => isWatched(files.stdout));
    appendFileSync(files.stdout, " late");
    await until("the late output", () => rig.store.bytes("a", "stdout").toString() === "early late");
  });

  test("a lost piece is sent again, ever more rarely", async () => {
    const files = rig.files("a");
    writeFileSync(files.stdout, "lost at first");
    let losses = 2;
    rig.wire = () => losses-- <= 0;
    const logs = rig.shipper();
    logs.track("a");
    logs.ended("a");
    await until("the first send", () => rig.sent.length === 1);
    rig.aheadMs += 2_100;
    await until("the second send", () => rig.sent.length === 2);
    // Half of the doubled pause: nothing yet, as the next sweeps find it not due.
    rig.aheadMs += 4_100;
    await until("the third send", () => rig.sent.length === 3);
    expect(rig.store.bytes("a", "stdout").toString()).toBe("lost at first");
  });

  test("what was on the wire when the connection broke goes out again", async () => {
    const files = rig.files("a");
    writeFileSync(files.stdout, Buffer.alloc(100_000, "y"));
    rig.wire = () => false;
    const logs = rig.shipper();
    logs.track("a");
    logs.ended("a");
    await until("all three pieces to be on the wire", () => rig.sent.length === 3);
    logs.down();
    rig.wire = () => true;
    logs.up();
    await until("the rest", () => rig.store.end("a", "stdout") === 100_000);
  });

  test("what the manager before had on the wire goes out at once when another leads, and nothing while there is no connection", async () => {
    const files = rig.files("a");
    writeFileSync(files.stdout, Buffer.alloc(100_000, "y"));
    rig.wire = () => false;
    const logs = rig.shipper();
    logs.track("a");
    logs.ended("a");
    await until("all three pieces to be on the wire", () => rig.sent.length === 3);
    rig.wire = () => true;
    logs.again();
    // The clock stands: no resend is due by itself.
    await until("the rest", () => rig.store.end("a", "stdout") === 100_000);
    expect(rig.sent).toHaveLength(6);
    logs.down();
    writeFileSync(rig.files("b").stdout, "b");
    logs.track("b");
    logs.again();
    logs.up();
    await until("b, once", () => rig.store.end("b", "stdout") === 1);
    expect(rig.sent).toHaveLength(7);
  });

  test("streams take turns, and one that nobody acknowledges does not hold up the others", async () => {
    const talkative = rig.files("talkative");
    writeFileSync(talkative.stdout, Buffer.alloc(2_000_000, "t"));
    const ids = Array.from({ length: 20 }, (_, index) => `small-${index}`);
    for (const id of ids) writeFileSync(rig.files(id).stdout, `output of ${id}`);
    rig.wire = (piece) => piece.attempt !== "talkative";
    const logs = rig.disconnected();
    logs.track("talkative");
    for (const id of ids) logs.track(id);
    for (const id of ["talkative", ...ids]) logs.ended(id);
    logs.up();
    await until("every small one", () => ids.every((id) => rig.store.bytes(id, "stdout").toString() === `output of ${id}`));
    const onWire = rig.sent
      .filter((piece) => piece.attempt === "talkative")
      .reduce((sum, piece) => sum + Buffer.from(piece.bytes, "base64").byteLength, 0);
    expect(onWire).toBeLessThanOrEqual(workerLimits.logStreamInFlightBytes + 34_560);
  });

  test("no more than the bound is on the wire, over all attempts", async () => {
    const ids = Array.from({ length: 30 }, (_, index) => `a-${index}`);
    for (const id of ids) writeFileSync(rig.files(id).stdout, Buffer.alloc(200_000, "z"));
    rig.wire = () => false;
    const logs = rig.disconnected();
    for (const id of ids) logs.track(id);
    for (const id of ids) logs.ended(id);
    logs.up();
    await until("the wire to be full", () => rig.sent.length >= 8);
    await new Promise((resolve) => setImmediate(resolve));
    expect(rig.bytesSent).toBeLessThanOrEqual(workerLimits.logInFlightBytes + 34_560);
    expect(logs.spoolBytes).toBe(30 * 200_000);
  });
});

test("what two hundred attempts have said comes in portions that a slow manager takes: nothing is dropped and sent again", async () => {
  const ids = Array.from({ length: 200 }, (_, index) => `a-${index}`);
  for (const id of ids) writeFileSync(rig.files(id).stdout, id === "a-0" ? Buffer.alloc(300_000, "x") : `output of ${id}`);
  const logs = rig.disconnected();
  // As the manager's intake: so many may wait for one worker, and what comes beyond is dropped.
  const waiting: LogPiece[] = [];
  let dropped = 0;
  rig.wire = (piece) => {
    if (waiting.length >= 32) dropped += 1;
    else waiting.push(piece);
    return false;
  };
  for (const id of ids) logs.track(id);
  for (const id of ids) logs.ended(id);
  logs.up();
  await until("all to have arrived", () => {
    for (const piece of waiting.splice(0, 8)) logs.acked(piece.attempt, piece.stream, rig.store.append(piece));
    return ids.every((id) => rig.store.end(id, "stdout") === statSync(join(rig.root, id, "stdout")).size);
  });
  expect(dropped).toBe(0);
  expect(rig.sent).toHaveLength(199 + Math.ceil(300_000 / 34_560));
});

describe("over an agent's life", () => {
  test("a later agent goes on: what the manager has is passed over and nothing is missing", async () => {
    const files = rig.files("a");
    const first = randomBytes(500_000);
    writeFileSync(files.stdout, first);
    const before = rig.shipper();
    before.track("a");
    await until("the first part", () => rig.store.end("a", "stdout") === 500_000);
    await before[Symbol.asyncDispose]();
    const second = randomBytes(500_000);
    appendFileSync(files.stdout, second);
    rig.sent.length = 0;
    const after = rig.disconnected();
    after.track("a");
    after.ended("a");
    after.up();
    await until("the second part", () => rig.store.end("a", "stdout") === 1_000_000);
    expect(rig.store.bytes("a", "stdout").equals(Buffer.concat([first, second]))).toBe(true);
    // The first ack tells where the manager's end is; little is sent twice.
    expect(rig.sent.length).toBeLessThan(25);
  });

  test("a later agent never takes a hole for output", async () => {
    const files = rig.files("a");
    const size = 2 * workerLimits.logFreeBytes;
    writeFileSync(files.stdout, Buffer.alloc(size, "h"));
    const before = rig.shipper();
    before.track("a");
    await until(
      "all to be shipped and freed",
      () => rig.store.end("a", "stdout") === size && statSync(files.stdout).blocks * 512 < size / 2,
    );
    await before[Symbol.asyncDispose]();
    expect(JSON.parse(readFileSync(join(rig.root, "shipped", "a.json"), "utf8")).stdout.acked).toBeGreaterThanOrEqual(
      workerLimits.logFreeBytes,
    );
    // The manager's store was taken back: what the disk has forgotten is a gap, the rest comes again.
    rig.store.takeBack("a", "stdout", 1_000);
    const after = rig.disconnected();
    after.track("a");
    after.ended("a");
    after.up();
    await until("the manager to have it all", () => {
      rig.aheadMs += 3_000;
      return rig.store.end("a", "stdout") === size;
    });
    expect(rig.store.bytes("a", "stdout").every((byte) => byte === 104)).toBe(true);
    expect(rig.store.gaps("a", "stdout").length).toBeGreaterThan(0);
  });
});
