import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../kit/until.ts";
import { agent, ask, bootId, freshFolder } from "./agents.ts";
import { openRig, order } from "./kit.ts";

describe("recovery", () => {
  test("makes void what was never launched, so that a late line of a launcher runs nothing", async () => {
    await using rig = await openRig();
    expect(await rig.host.recover([ask("never"), ask("unknown", null)])).toEqual([
      { attempt: "never", found: "neverStarted" },
      { attempt: "unknown", found: "neverStarted" },
    ]);
    expect(readFileSync(join(rig.host.folderOf("never"), "started"), "latin1")).toBe("\nnever void end\n");
  });

  test("of a start under way: either it is void and never runs, or it is alive; never both", async () => {
    const folder = freshFolder();
    const witness = join(folder, "witness");
    writeFileSync(witness, "");
    const attempts = Array.from({ length: 60 }, (_, i) => `race-${i}`);
    const first = agent(
      folder,
      attempts.map((attempt) => order(attempt, "/bin/sh", ["-c", `echo ${attempt} >>'${witness}'; exec sleep 600`])),
    );
    await until("some run", () => first.started.size > 5);
    await first.die();
    await using rig = await openRig({ folder });
    const found = await rig.host.recover(attempts.map((attempt) => ask(attempt)));
    const alive = found.filter((one) => one.found === "alive").map((one) => one.attempt);
    const never = found.filter((one) => one.found === "neverStarted").map((one) => one.attempt);
    expect(alive.length + never.length).toBe(60);
    expect(alive.length).toBeGreaterThan(5);
    await until("all that are alive have written", () => readFileSync(witness, "latin1").split("\n").length > alive.length);
    for (const attempt of alive) rig.host.kill(attempt);
    await Promise.all(alive.map((attempt) => rig.ended(attempt)));
    const wrote = readFileSync(witness, "latin1").trim().split("\n").sort();
    expect(wrote).toEqual([...alive].sort());
  }, 60_000);

  test("under another boot: a complete record is an end, blanks are a reboot", async () => {
    await using rig = await openRig();
    const write = (attempt: string, exit: string): void => {
      mkdirSync(rig.host.folderOf(attempt));
      writeFileSync(
        join(rig.host.folderOf(attempt), "started"),
        `${process.pid} 1 another-boot ${process.pid} ${process.pid} end\n`,
      );
      writeFileSync(join(rig.host.folderOf(attempt), "exit"), exit);
    };
    write("done", "done 4 end\n".padEnd(64));
    write("cut", " ".repeat(64));
    expect(
      await rig.host.recover([ask("done", "another-boot"), ask("cut", "another-boot"), ask("gone", "another-boot")]),
    ).toMatchObject([{ found: "exited", exit: { read: "code", code: 4 } }, { found: "rebooted" }, { found: "rebooted" }]);
  });

  test.for([
    ["empty", ""],
    ["torn", "torn 0"],
    ["another attempt's", "other 0 end\n".padEnd(64)],
    ["binary", "\u0000\u0001\u0002".padEnd(64)],
    ["shortened blanks", " ".repeat(10)],
  ])("an exit record that is %s is never read as a code", async ([, exit]) => {
    await using rig = await openRig();
    mkdirSync(rig.host.folderOf("torn"));
    writeFileSync(join(rig.host.folderOf("torn"), "started"), `4194000 1 ${bootId} 4194000 4194000 end\n`);
    writeFileSync(join(rig.host.folderOf("torn"), "exit"), exit as string);
    expect(await rig.host.recover([ask("torn")])).toMatchObject([{ found: "exited", exit: { read: "unreadable" } }]);
  });

  test("a start record that nobody finishes is no start", async () => {
    await using rig = await openRig();
    mkdirSync(rig.host.folderOf("half"));
    writeFileSync(join(rig.host.folderOf("half"), "started"), "");
    writeFileSync(join(rig.host.folderOf("half"), "exit"), " ".repeat(64));
    expect(await rig.host.recover([ask("half")])).toEqual([{ attempt: "half", found: "neverStarted" }]);
  });

  test("a program that could not be executed is told as such, whether the boot is the same or not", async () => {
    await using rig = await openRig();
    const write = (attempt: string, boot: string): void => {
      mkdirSync(rig.host.folderOf(attempt));
      writeFileSync(join(rig.host.folderOf(attempt), "started"), `4194000 1 ${boot} 4194000 4194000 end\n`);
      writeFileSync(join(rig.host.folderOf(attempt), "exit"), `${attempt} 127 norun end\n`.padEnd(64));
      writeFileSync(join(rig.host.folderOf(attempt), "stderr"), "./launch: line 9: /x: cannot execute: not there\n");
    };
    write("here", bootId);
    write("before", "another-boot");
    const why = expect.stringContaining("cannot execute: not there");
    expect(await rig.host.recover([ask("here"), ask("before", "another-boot")])).toEqual([
      { attempt: "here", found: "failedToStart", why },
      { attempt: "before", found: "failedToStart", why },
    ]);
  });

  test.for([
    ["agent", true],
    ["timedOut", false],
    [null, false],
  ] as const)("whether a TERM of the agent came before the end is read from its mark: %s", async ([by, termBefore]) => {
    await using rig = await openRig();
    mkdirSync(rig.host.folderOf("x"));
    writeFileSync(join(rig.host.folderOf("x"), "started"), `4194000 1 ${bootId} 4194000 4194000 end\n`);
    writeFileSync(join(rig.host.folderOf("x"), "exit"), "x 0 end\n".padEnd(64));
    if (by !== null) writeFileSync(join(rig.host.folderOf("x"), "term"), `${by} 5 end\n`);
    expect(await rig.host.recover([ask("x")])).toMatchObject([{ found: "exited", termBefore }]);
  });

  test("deadlines that cannot be written end nobody: the earlier ones stand", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("sleep", ["600"]);
    await rig.started(attempt);
    rmSync(join(rig.folder, "deadlines"), { recursive: true });
    expect(() => rig.host.setDeadlines(attempt, { timeoutMono: null, fenceMono: 1e12, graceMs: 1 })).not.toThrow();
    mkdirSync(join(rig.folder, "deadlines"));
    rig.host.setDeadlines(attempt, { timeoutMono: null, fenceMono: 1e12, graceMs: 1 });
    expect(readFileSync(join(rig.folder, "deadlines", attempt), "latin1")).toContain(" 1000000000 ");
  });

  test("a shim that hangs at its first lines is waited for, and taken for neither alive nor dead", async () => {
    await using rig = await openRig();
    const folder = rig.host.folderOf("hangs");
    mkdirSync(folder);
    writeFileSync(join(folder, "started"), "");
    writeFileSync(join(folder, "exit"), " ".repeat(64));
    const shim = spawn("sleep", ["600"], { cwd: folder, stdio: "ignore" });
    try {
      expect(await rig.host.recover([ask("hangs")])).toEqual([{ attempt: "hangs", found: "starting" }]);
    } finally {
      shim.kill("SIGKILL");
    }
    expect(await rig.notStarted("hangs")).toMatchObject({ how: "refused" });
  }, 30_000);

  test("a result too large for a report is told as a live end, to be uploaded", async () => {
    const folder = freshFolder();
    const large = `[${"1,".repeat(20_000)}1]`;
    {
      await using first = await openRig({ folder });
      first.launch("/bin/sh", ["-c", `printf '%s' "$LARGE" >"$MUSTER_RESULT"`], { attempt: "large", env: { LARGE: large } });
      await first.ended("large");
    }
    await using rig = await openRig({ folder });
    expect(await rig.host.recover([ask("large")])).toMatchObject([{ found: "alive" }]);
    expect(await rig.ended("large")).toMatchObject({
      exit: { read: "code", code: 0 },
      result: { kind: "toUpload", size: large.length, file: join(folder, "attempts/large/result") },
    });
  });
});
