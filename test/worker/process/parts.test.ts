import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { deadlineLine } from "../../../worker/process/deadlines.ts";
import { parseStat, readStat } from "../../../worker/process/proc.ts";
import { parseProgress } from "../../../worker/process/progress.ts";
import { makeVoid, readStarted } from "../../../worker/process/records.ts";
import { readResult } from "../../../worker/process/result.ts";
import { shellError } from "../../../worker/process/stderr.ts";
import { programCommand, taskkillCommand, windowsEnvironment } from "../../../worker/process/windows-commands.ts";
import { openRig } from "./kit.ts";

const folder = mkdtempSync(join(tmpdir(), "muster-parts-"));
afterAll(() => rmSync(folder, { recursive: true }));
function file(bytes: string | Buffer): string {
  const path = join(folder, `f${Math.random()}`);
  writeFileSync(path, bytes);
  return path;
}

describe("/proc", () => {
  test("a stat line is read behind whatever the program calls itself", () => {
    // Each of the fields 4 to 52 holds its number and a hundred, so that it can be told which was read.
    const rest = Array.from({ length: 49 }, (_, i) => 104 + i).join(" ");
    expect(parseStat(`42 (a) S 1 (b\n) S ${rest}\n`)).toEqual({
      pid: 42,
      state: "S",
      threads: 120,
      parent: 104,
      group: 105,
      session: 106,
      kernel: false,
      startTicks: 122,
      scheduling: "119 140 141",
      image: "126 150 151",
      environment: 1,
    });
    expect(parseStat("")).toBeUndefined();
    expect(parseStat("42 (x) S")).toBeUndefined();
    expect(readStat(process.pid)).toMatchObject({ pid: process.pid, parent: process.ppid });
    expect(readStat(4_194_305)).toBeUndefined();
  });
});

describe("started", () => {
  test("that is void stays so, however often it is asked", () => {
    const attempt = join(folder, "void");
    mkdirSync(attempt);
    expect(Array.from({ length: 20 }, () => makeVoid(attempt, "a1"))).toEqual(Array.from({ length: 20 }, () => true));
    expect(readStarted(attempt, "a1")).toEqual({ is: "void" });
  });

  test.for([
    "",
    "1",
    "12 34 boot 12 12",
    "0 1 boot 0 0 end\n",
    "12 34 boot 1 1 end\n",
    "12 34 boot -1 1 end\n",
    "x y boot z z end\n",
  ])("of %j is incomplete: nothing is signalled by it", (text) => {
    const attempt = mkdtempSync(join(folder, "s-"));
    writeFileSync(join(attempt, "started"), text);
    expect(readStarted(attempt, "a1")).toEqual({ is: "incomplete" });
  });
});

describe("MUSTER_RESULT", () => {
  test.for([
    ['{"a":1}\n', { kind: "inline", json: '{"a":1}\n' }],
    ["null", { kind: "inline", json: "null" }],
    ["", { kind: "none" }],
    ["{} {}", { kind: "bad" }],
    ["not json", { kind: "bad" }],
    ["[".repeat(64) + "]".repeat(64), { kind: "inline" }],
    ["[".repeat(65) + "]".repeat(65), { kind: "bad", why: "the result is nested deeper than 64 levels" }],
    ["[".repeat(15_000) + "]".repeat(15_000), { kind: "bad" }],
    [Buffer.from([0x22, 0xff, 0x22]), { kind: "bad" }],
    [JSON.stringify("x".repeat(32_766)), { kind: "inline" }],
    [JSON.stringify("x".repeat(32_767)), { kind: "toUpload", size: 32_769 }],
    [JSON.stringify("x".repeat(99_998)), { kind: "toUpload", size: 100_000 }],
    [JSON.stringify("x".repeat(99_999)), { kind: "bad" }],
  ] as const)("case %#", ([bytes, expected]) => {
    expect(readResult(file(bytes), 100_000)).toMatchObject(expected);
  });

  test("is not read through a link, from a folder, or when it is missing", () => {
    const link = join(folder, "link");
    symlinkSync("/etc/passwd", link);
    expect(readResult(link, 100_000)).toMatchObject({ kind: "bad", why: expect.stringContaining("symbolic link") });
    expect(readResult(folder, 100_000)).toMatchObject({ kind: "bad" });
    expect(readResult(join(folder, "none"), 100_000)).toEqual({ kind: "none" });
  });

  test("that is a fifo does not hold the agent up", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", 'mkfifo "$MUSTER_RESULT"']);
    expect((await rig.ended(attempt)).result).toMatchObject({ kind: "bad", why: expect.stringContaining("not a regular file") });
  });
});

describe("MUSTER_PROGRESS", () => {
  test.for([
    ["42 half way\n", { percent: 42, message: "half way" }],
    ["1 first\n2.5% second\n", { percent: 2.5, message: "second" }],
    ["100%\n", { percent: 100, message: null }],
    ["7\n", { percent: 7, message: null }],
    ["copying files\n", { percent: null, message: "copying files" }],
    ["101 dalmatians\n", { percent: null, message: "101 dalmatians" }],
    ["50 half\n60 not wri", { percent: 50, message: "half" }],
    ["60 no line end", { percent: 60, message: "no line end" }],
    ["10 tab\u0007bell\n", { percent: 10, message: "tab bell" }],
    ["\n", undefined],
    ["", undefined],
  ] as const)("%j", ([text, expected]) => {
    expect(parseProgress(text)).toEqual(expected);
  });

  test("is told while the process runs, and its last word before the end", async () => {
    await using rig = await openRig();
    const attempt = rig.launch(
      "/bin/sh",
      ["-c", 'echo "10 begun" >"$MUSTER_PROGRESS"; read -r x <"$FIFO"; echo "90 nearly" >>"$MUSTER_PROGRESS"'],
      { env: { FIFO: "/dev/null" } },
    );
    await rig.ended(attempt);
    const told = rig.told.filter(([, event]) => event.attempt === attempt);
    expect(told.at(-1)?.[0]).toBe("ended");
    expect(told.at(-2)).toEqual(["progress", { attempt, percent: 90, message: "nearly" }]);
  });
});

test("deadlines are whole seconds, rounded up, and a dash for none", () => {
  expect(deadlineLine("boot", { timeoutMono: 1_000.5, fenceMono: null, graceMs: 10_000 })).toBe("boot 2 - 10 end\n");
  expect(deadlineLine("boot", { timeoutMono: null, fenceMono: -5, graceMs: 0 })).toBe("boot - 0 0 end\n");
});

test("a shell's word is told from a program's", () => {
  expect(shellError(file("out\n./launch: line 9: /x/y: cannot execute: required file not found\n"))).toBe(
    "/x/y: cannot execute: required file not found",
  );
  expect(shellError(file("/opt/m/worker/process/launcher.sh: 3: exec: /x: not found\n"))).toBe("/x: not found");
  expect(shellError(file("bash: line 1: frobnicate: command not found\n"))).toBeUndefined();
  expect(shellError(file(""))).toBeUndefined();
  expect(shellError(join(folder, "none"))).toBeUndefined();
});

describe("commands for Windows", () => {
  const root = "C:\\Windows";
  test("taskkill takes the tree, and by force only when told", () => {
    expect(taskkillCommand(42, false, root)).toEqual({
      file: "C:\\Windows\\System32\\taskkill.exe",
      args: ["/PID", "42", "/T"],
      verbatim: false,
    });
    expect(taskkillCommand(42, true, root).args).toEqual(["/PID", "42", "/T", "/F"]);
  });
  test.for([
    ["C:\\tools\\run.exe", { file: "C:\\tools\\run.exe", args: ["a b"], verbatim: false }],
    ["C:\\Windows\\System32\\cmd.exe", { file: "C:\\Windows\\System32\\cmd.exe", args: ["a b"], verbatim: true }],
    ["notcmd.exe", { file: "notcmd.exe", args: ["a b"], verbatim: false }],
    ["C:\\x\\run.BAT", { why: expect.stringContaining("batch file") }],
    ["run.cmd", { why: expect.stringContaining("batch file") }],
  ] as const)("%s", ([program, expected]) => {
    expect(programCommand(program, ["a b"])).toEqual(expected);
  });
  test("the environment holds nothing of the agent's", () => {
    expect(Object.keys(windowsEnvironment(root, "C:\\Users\\m", "C:\\Temp")).filter((name) => name.startsWith("MUSTER"))).toEqual(
      [],
    );
    expect(windowsEnvironment(root, "C:\\Users\\m", "C:\\Temp")).toMatchObject({ SYSTEMROOT: root, USERPROFILE: "C:\\Users\\m" });
  });
});
