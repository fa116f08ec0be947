import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openRig } from "./kit.ts";

describe("a process on the host", () => {
  test("tells its start with a process that is there, and its end with its code", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", "read -r line; exit 7"], { stdin: "go\n" });
    const { process, startedWall } = await rig.started(attempt);
    expect(process.bootId).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim());
    expect(Math.abs(startedWall - Date.now())).toBeLessThan(60_000);
    const end = await rig.ended(attempt);
    expect(end).toMatchObject({
      exit: { read: "code", code: 7 },
      termBefore: false,
      timedOut: false,
      fenced: false,
      result: { kind: "none" },
    });
    expect(rig.told.filter(([, event]) => event.attempt === attempt).map(([kind]) => kind)).toEqual(["started", "ended"]);
  });

  test.for([0, 1, 2, 126, 127, 128, 143, 255])("exit %i of the program itself is an exit", async (code) => {
    await using rig = await openRig();
    const attempt = rig.launch("/bin/sh", ["-c", `echo words on stderr >&2; exit ${code}`]);
    expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code });
  });

  test("gives standard input byte for byte, and /dev/null when there is none", async () => {
    await using rig = await openRig();
    const stdin = "b\na\n\u0001'\"$`\\é no line end";
    const given = rig.launch("cat", [], { stdin });
    const none = rig.launch("/bin/sh", ["-c", "readlink /proc/self/fd/0"]);
    await Promise.all([rig.ended(given), rig.ended(none)]);
    expect(rig.output(given).toString()).toBe(stdin);
    expect(rig.output(none).toString()).toBe("/dev/null\n");
  });

  test("gives 200 arguments and values of shell metacharacters byte for byte", async () => {
    await using rig = await openRig();
    const odd = [
      "",
      " ",
      "\n",
      "'",
      "''",
      "'\\''",
      '"',
      "$HOME",
      "`id`",
      "$(id)",
      "\\",
      "\\\\",
      "*",
      "?",
      "[a-z]",
      "~",
      "!",
      "!!",
      "#",
      ";",
      "&",
      "|",
      "<",
      ">",
      "-n",
      "--",
      "=",
      "%s",
      "\t",
      "\r\n",
      "é",
      "日本",
      "\u0001",
      "\u007f",
      "\u0081\u0088",
      "{a,b}",
      "a\nb\n",
      "-",
      "\u001b[31m",
      "🦊",
    ];
    const args = Array.from(
      { length: 200 },
      (_, i) => `${odd[i % odd.length]}${i < odd.length ? "" : odd[(i * 7) % odd.length]}`,
    );
    const env = Object.fromEntries(odd.map((value, i) => [`PARAM_v${i}`, value]));
    const script = "process.stdout.write(JSON.stringify([process.argv.slice(1), process.env]))";
    const attempt = rig.launch(process.execPath, ["-e", script, "--", ...args], { env });
    await rig.ended(attempt);
    const [argv, seen] = JSON.parse(rig.output(attempt).toString()) as [string[], Record<string, string>];
    expect(argv).toEqual(args);
    expect(seen).toMatchObject(env);
  });

  test("keeps binary output and appends to it", async () => {
    await using rig = await openRig();
    const script = "for (let i = 0; i < 256; i++) process.stdout.write(Buffer.alloc(100, i)); process.stderr.write('e')";
    const attempt = rig.launch(process.execPath, ["-e", script]);
    await rig.ended(attempt);
    const expected = Buffer.concat(Array.from({ length: 256 }, (_, i) => Buffer.alloc(100, i)));
    expect(rig.output(attempt).equals(expected)).toBe(true);
    expect(rig.output(attempt, "stderr").toString()).toBe("e");
    const flags = rig.launch("/bin/sh", ["-c", "grep flags /proc/self/fdinfo/1"]);
    await rig.ended(flags);
    // O_APPEND is 02000: freed and rotated output must never be written over.
    expect(Number.parseInt(rig.output(flags).toString().split("\t")[1] ?? "", 8) & 0o2000).toBe(0o2000);
  });

  test("works in a fresh folder of its own, or where the task says", async () => {
    await using rig = await openRig();
    const elsewhere = mkdtempSync(join(tmpdir(), "muster it's-"));
    const fresh = rig.launch("/bin/sh", ["-c", "pwd; ls -A; umask; echo mine >exit; echo mine >stdout"]);
    const named = rig.launch("pwd", [], { workingDirectory: elsewhere });
    expect((await rig.ended(fresh)).exit).toEqual({ read: "code", code: 0 });
    await rig.ended(named);
    expect(rig.output(fresh).toString()).toBe(`${rig.host.folderOf(fresh)}/work\n0022\n`);
    expect(rig.output(named).toString()).toBe(`${elsewhere}\n`);
    expect(statSync(rig.host.folderOf(fresh)).mode & 0o777).toBe(0o700);
    rmSync(elsewhere, { recursive: true });
  });

  test("writes a driver's files before the program starts, and refuses names of its own", async () => {
    await using rig = await openRig();
    const file = (name: string, executable: boolean) => ({
      name,
      bytes: Buffer.from("#!/bin/sh\necho from a file\n"),
      executable,
    });
    const attempt = "with-files";
    const program = join(rig.host.folderOf(attempt), "tool");
    rig.launch(program, [], {
      attempt,
      launch: { program, args: [], files: [file("tool", true), file("data", false)], env: {} },
    });
    await rig.ended(attempt);
    expect(rig.output(attempt).toString()).toBe("from a file\n");
    for (const name of ["exit", "started", "launch", "signal-SIGINT", "..", "a/b"]) {
      const refused = rig.launch("true", [], { launch: { program: "true", args: [], files: [file(name, false)], env: {} } });
      expect(await rig.notStarted(refused)).toMatchObject({
        how: "failedToStart",
        why: expect.stringContaining(JSON.stringify(name)),
      });
    }
  });

  test("ignores no signal that the agent or a shell ignored", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("grep", ["-E", "Sig(Ign|Blk)", "/proc/self/status"]);
    await rig.ended(attempt);
    expect(rig.output(attempt).toString()).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  test("leads a process group that is neither the agent's nor another attempt's, and holds no file but its three", async () => {
    await using rig = await openRig();
    const script = "cut -d' ' -f5 /proc/self/stat; ls /proc/self/fd | wc -l";
    const both = [rig.launch("/bin/sh", ["-c", script]), rig.launch("/bin/sh", ["-c", script])];
    await Promise.all(both.map((attempt) => rig.ended(attempt)));
    const seen = both.map((attempt) => rig.output(attempt).toString().trim().split("\n"));
    const own = readFileSync("/proc/self/stat", "latin1").split(") ")[1]?.split(" ")[2];
    expect(new Set([own, ...seen.map(([group]) => group)]).size).toBe(3);
    // ls itself opens the folder that it lists.
    expect(seen.map(([, open]) => open)).toEqual(["4", "4"]);
  });

  test("runs 300 at once, each with one start and its own code", async () => {
    await using rig = await openRig();
    const attempts = Array.from({ length: 300 }, (_, i) => rig.launch("/bin/sh", ["-c", `echo ${i}; exit ${i % 200}`]));
    const ends = await Promise.all(attempts.map((attempt) => rig.ended(attempt)));
    expect(ends.map(({ exit }) => exit)).toEqual(attempts.map((_, i) => ({ read: "code", code: i % 200 })));
    expect(attempts.every((attempt, i) => rig.output(attempt).toString() === `${i}\n`)).toBe(true);
    expect(rig.told.filter(([kind]) => kind === "started")).toHaveLength(300);
  }, 60_000);
});
