import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LaunchOrder } from "../../../worker/process/host.ts";
import { openRig, type Rig } from "./kit.ts";

const root = userInfo().uid === 0;
const folder = mkdtempSync(join(tmpdir(), "muster-programs-"));
const at = (name: string): string => join(folder, name);

function program(name: string, bytes: string | Buffer, mode = 0o755): string {
  writeFileSync(at(name), bytes, { mode });
  chmodSync(at(name), mode);
  return at(name);
}

let rig: Rig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** An ELF header of a machine that this host is not (1: an AT&T WE 32100). */
const foreignElf = Buffer.concat([
  Buffer.from("\u007fELF\u0002\u0001\u0001"),
  Buffer.alloc(11),
  Buffer.from([1, 0]),
  Buffer.alloc(100),
]);

const cases: readonly (readonly [what: string, program: () => string, why: string, more?: Partial<LaunchOrder>])[] = [
  ["a missing program", () => at("missing"), "does not exist"],
  ["a program that is not on the PATH", () => "no-such-program-anywhere", 'no program "no-such-program-anywhere" on the PATH'],
  ["a PATH of the task's own without it", () => "true", "on the PATH (/nowhere)", { env: { PATH: "/nowhere" } }],
  ["a directory", () => folder, "is a directory"],
  ["a device", () => "/dev/null", "no regular file"],
  ["no execute permission", () => program("plain", "#!/bin/sh\n", 0o644), "no execute permission"],
  ["something below a file", () => join(program("file", "#!/bin/sh\n"), "x"), "no directory"],
  ["a missing interpreter", () => program("bad", "#!/nope/interpreter -x\necho\n"), '"/nope/interpreter", which does not exist'],
  ["an interpreter line with a Windows line end", () => program("crlf", "#!/bin/sh\r\necho\r\n"), "Windows line ends"],
  ["an empty interpreter line", () => program("nobody", "#!\n"), "names no interpreter"],
  ["an interpreter that is not executable", () => program("data", `#!${program("noexec", "x", 0o644)}\n`), "not executable"],
  ["a text without interpreter line", () => program("text", "echo hello\n"), "no #! line"],
  ["an empty file", () => program("empty", ""), "no #! line"],
  ["a program of another machine", () => program("foreign", foreignElf), "another kind of machine"],
  ["a dangling link", () => (symlinkSync("/nope", at("link")), at("link")), "does not exist"],
  ["a missing working directory", () => "true", "does not exist", { workingDirectory: at("no-folder") }],
  ["a working directory that is a file", () => "true", "not a directory", { workingDirectory: "/etc/passwd" }],
  ["a relative working directory", () => "true", "must be an absolute path", { workingDirectory: "here" }],
  [
    "a user that does not exist",
    () => "true",
    root ? 'no user "nosuchuser"' : "only an agent that runs as root",
    { user: "nosuchuser" },
  ],
];

describe("what cannot start says why", () => {
  test.for(cases)("%s", async ([, make, why, more]) => {
    const attempt = rig.launch(make(), [], more);
    expect(await rig.notStarted(attempt)).toMatchObject({ how: "failedToStart", why: expect.stringContaining(why) });
    expect(rig.told.filter(([, event]) => event.attempt === attempt)).toHaveLength(1);
  });

  test("also when only the kernel finds out", async () => {
    // The interpreter is there, and is itself a script whose interpreter is not.
    const half = program("half", "#!/nope/interpreter\n");
    const attempt = rig.launch(program("double", `#!${half}\n`));
    expect(await rig.notStarted(attempt)).toMatchObject({
      how: "failedToStart",
      why: expect.stringContaining("could not be executed: "),
    });
    const long = rig.launch(
      "true",
      Array.from({ length: 40 }, () => "x".repeat(131_000)),
    );
    expect(await rig.notStarted(long)).toMatchObject({
      how: "failedToStart",
      why: expect.stringMatching(/argument list too long/i),
    });
  });

  test("a full disk refuses, for another worker may have room", async () => {
    await using full = await openRig({ diskReserveBytes: Number.MAX_SAFE_INTEGER });
    const attempt = full.launch("true");
    expect(await full.notStarted(attempt)).toMatchObject({ how: "refused", why: expect.stringContaining("kept in reserve") });
  });

  test("a folder that cannot be made refuses, and the next launch is not disturbed", async () => {
    writeFileSync(rig.host.folderOf("in-the-way"), "a file where the folder should be");
    rig.launch("true", [], { attempt: "in-the-way" });
    const next = rig.launch("true");
    expect(await rig.notStarted("in-the-way")).toMatchObject({ how: "refused", why: expect.stringContaining("EEXIST") });
    expect((await rig.ended(next)).exit).toEqual({ read: "code", code: 0 });
  });

  test("a folder with a line end in its name is not taken", async () => {
    await expect(openRig({ folder: "/tmp/a\nb" })).rejects.toThrow("control characters");
  });
});

describe("another user", () => {
  test("runs as that user, with its home, and reaches its result and its folder", async (ctx) => {
    if (!root) ctx.skip("only root can start processes of other users");
    const script =
      'id -un; echo "$HOME"; echo here >file; cat file; echo 1 >"$MUSTER_RESULT"; cat "$0" >/dev/null && echo readable; ls ../exit 2>&1';
    const attempt = "as-nobody";
    const file = join(rig.host.folderOf(attempt), "script.sh");
    chmodSync(rig.folder, 0o711);
    const launch = {
      program: "/bin/sh",
      args: [file],
      files: [{ name: "script.sh", bytes: Buffer.from(script), executable: false }],
      env: {},
    };
    rig.launch("/bin/sh", [], { attempt, user: "nobody", launch });
    const end = await rig.ended(attempt);
    expect(end.result).toEqual({ kind: "inline", json: "1\n" });
    const lines = rig.output(attempt).toString().split("\n");
    expect(lines.slice(0, 4)).toEqual(["nobody", expect.stringMatching(/^\//), "here", "readable"]);
  });

  test("is told which folder bars it", async (ctx) => {
    if (!root) ctx.skip("only root can start processes of other users");
    const closed = at("closed");
    mkdirSync(join(closed, "in"), { recursive: true });
    chmodSync(closed, 0o700);
    chmodSync(folder, 0o755);
    const attempt = rig.launch("true", [], { user: "nobody", workingDirectory: join(closed, "in") });
    expect(await rig.notStarted(attempt)).toMatchObject({
      how: "failedToStart",
      why: expect.stringContaining(`${closed} gives no search permission`),
    });
  });
});
