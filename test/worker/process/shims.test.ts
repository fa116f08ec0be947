/** Shims serve attempts one after the other: nothing of one attempt may reach the next. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { processLimits } from "../../../worker/process/limits.ts";
import { sendSignal } from "../../../worker/process/proc.ts";
import { makeVoid, readExit, readStarted } from "../../../worker/process/records.ts";
import { until } from "../../kit/until.ts";
import { agent, ask, bootId, freshFolder, lateShims } from "./agents.ts";
import { clock, openRig, order, runs, type Ended, type Rig, type Started } from "./kit.ts";

const pidOf = async (rig: Rig, attempt: string): Promise<number> => (await rig.started(attempt)).process.pid;

/** Runs `orders` with at most `most` at once; each ended one's folder is given back. */
async function runAll(rig: Rig, scripts: readonly string[], most: number): Promise<{ outputs: string[]; ends: Ended[] }> {
  const outputs: string[] = [];
  const ends: Ended[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let mine = next++; mine < scripts.length; mine = next++) {
      const attempt = rig.launch("/bin/sh", ["-c", scripts[mine] as string]);
      ends[mine] = await rig.ended(attempt);
      outputs[mine] = rig.output(attempt).toString();
      await rig.host.remove(attempt);
    }
  };
  await Promise.all(Array.from({ length: most }, lane));
  return { outputs, ends };
}

/** The claim of a shim, when there is a whole one. */
function claimIn(folder: string, attempt: string): { readonly pid: number } | undefined {
  const record = readStarted(folder, attempt);
  return record.is === "complete" ? record.started : undefined;
}

describe("one shim, many attempts", () => {
  test("300 attempts go through few shims, each with its own output, code and clean folder", async () => {
    await using rig = await openRig();
    const scripts = Array.from(
      { length: 300 },
      (_, i) =>
        `ls -A . ..; echo witness ${i}; ${i % 3 === 0 ? 'echo 1 >"$MUSTER_RESULT"; echo 5 >"$MUSTER_PROGRESS"; >mine;' : ""} exit ${i % 100}`,
    );
    const { outputs, ends } = await runAll(rig, scripts, 6);
    const clean = ".:\n\n..:\nexit\nlaunch\nstarted\nstderr\nstdout\nwork\n";
    expect(outputs).toEqual(scripts.map((_, i) => `${clean}witness ${i}\n`));
    expect(ends.map(({ exit }) => exit)).toEqual(scripts.map((_, i) => ({ read: "code", code: i % 100 })));
    expect(ends.map(({ result }) => result.kind)).toEqual(scripts.map((_, i) => (i % 3 === 0 ? "inline" : "none")));
    const pids = new Set(rig.told.filter(([kind]) => kind === "started").map(([, event]) => (event as Started).process.pid));
    expect(pids.size).toBeLessThanOrEqual(12);
  }, 60_000);

  test("a shim is not given the next attempt before what the last one left behind is gone", async () => {
    await using rig = await openRig();
    const scripts = Array.from({ length: 20 }, () => "sleep 600 & echo $!");
    const { outputs } = await runAll(rig, scripts, 3);
    expect(outputs.map(Number).filter(runs)).toEqual([]);
    // No start of a shim's next attempt is told before the end of its last one.
    const serving = new Map<number, string>();
    for (const [kind, event] of rig.told) {
      if (kind === "started") {
        const { attempt, process } = event as Started;
        expect(serving.has(process.pid)).toBe(false);
        serving.set(process.pid, attempt);
      } else if (kind === "ended") {
        for (const [pid, attempt] of serving) if (attempt === event.attempt) serving.delete(pid);
      }
    }
  }, 60_000);

  test("a stop that races with the end never reaches the attempt that the shim serves next", async () => {
    await using rig = await openRig();
    const untouched: string[] = [];
    for (let i = 0; i < 40; i++) {
      const stopped = rig.launch("/bin/true");
      for (let turns = 0; turns < i % 8; turns++) await new Promise((resolve) => setImmediate(resolve));
      if (i % 2 === 0) await rig.started(stopped);
      rig.host.terminate(stopped);
      if (i % 5 === 0) rig.host.kill(stopped);
      untouched.push(rig.launch("/bin/sh", ["-c", "trap 'exit 99' TERM; read -r x <&-; exit 7"]));
    }
    for (const attempt of untouched) expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: 7 });
  }, 60_000);

  test("attempts with a deadline share a shim too, but for one whose deadline passed", async () => {
    await using rig = await openRig();
    const late = (ms: number) => ({ deadlines: { timeoutMono: clock.now().mono + ms, fenceMono: null, graceMs: 1_000 } });
    const pids: number[] = [];
    for (let i = 0; i < 5; i++) {
      const attempt = rig.launch("/bin/true", [], late(3_600_000));
      expect(await rig.ended(attempt)).toMatchObject({ exit: { read: "code", code: 0 }, timedOut: false, termBefore: false });
      pids.push(await pidOf(rig, attempt));
      await rig.host.remove(attempt);
    }
    expect(new Set(pids).size).toBe(1);
    const passed = rig.launch("sleep", ["600"], late(100));
    expect(await rig.ended(passed)).toMatchObject({ timedOut: true });
    const next = rig.launch("/bin/true");
    await rig.ended(next);
    expect(await pidOf(rig, next)).not.toBe(await pidOf(rig, passed));
  }, 30_000);

  test("what an attempt did to the scheduling of its process group is no later attempt's", async () => {
    await using rig = await openRig();
    const group = "$(ps -o pgid= -p $$)";
    // 17 is nobody's own: tests are run with `nice`, too.
    const changes = [`renice -n 17 -g ${group} >&2`, `for p in $(pgrep -g ${group}); do chrt -b -p 0 $p; done; true`];
    const { outputs } = await runAll(rig, ["nice; chrt -p $$", ...changes.flatMap((change) => [change, "nice; chrt -p $$"])], 1);
    const scheduling = (output: string | undefined): string => (output ?? "").replaceAll(/pid \d+/g, "pid");
    expect([outputs[2], outputs[4]].map(scheduling)).toEqual([outputs[0], outputs[0]].map(scheduling));
    const pids = rig.told.filter(([kind]) => kind === "started").map(([, event]) => (event as Started).process.pid);
    expect(pids[0]).toBe(pids[1]);
    expect(new Set(pids).size).toBe(3);
  });

  test("a shim serves only so many attempts: what cannot be seen of it does not stay for ever", async () => {
    await using rig = await openRig();
    await runAll(
      rig,
      Array.from({ length: processLimits.attemptsPerShim + 1 }, () => ":"),
      1,
    );
    const pids = rig.told.filter(([kind]) => kind === "started").map(([, event]) => (event as Started).process.pid);
    expect(new Set(pids).size).toBe(2);
  }, 30_000);

  test("an idle shim that somebody killed is replaced, and nobody waits for it", async () => {
    await using rig = await openRig();
    const first = rig.launch("/bin/true");
    await rig.ended(first);
    const pid = await pidOf(rig, first);
    process.kill(pid, "SIGKILL");
    await until("it is gone", () => !runs(pid));
    const second = rig.launch("/bin/true");
    expect((await rig.ended(second)).exit).toEqual({ read: "code", code: 0 });
    expect(await pidOf(rig, second)).not.toBe(pid);
  });

  test("a program that cannot be executed does not cost the shim", async () => {
    await using rig = await openRig();
    const tooMuch = Array.from({ length: 40 }, () => "x".repeat(131_000));
    const warm = rig.launch("/bin/true");
    await rig.ended(warm);
    const refused = rig.launch("/bin/true", tooMuch);
    await rig.notStarted(refused);
    const next = rig.launch("/bin/true");
    expect((await rig.ended(next)).exit).toEqual({ read: "code", code: 0 });
  });
});

describe("the agent dies by kill -9", () => {
  test("idle shims leave, busy ones serve to the end and leave then", async () => {
    const folder = freshFolder();
    const gate = join(folder, "gate");
    const wait = `while ! [ -e '${gate}' ]; do sleep 0.05; done; exit 3`;
    const first = agent(folder, [order("short", "/bin/true"), order("long", "/bin/sh", ["-c", wait])]);
    await until("both run", () => first.started.size === 2);
    const pids = ["short", "long"].map((attempt) => (first.started.get(attempt) as Started).process.pid);
    await until("the short one ends", () => readExit(join(folder, "attempts/short"), "short").is === "complete");
    await first.die();
    await until("the idle one leaves", () => !runs(pids[0] as number));
    expect(runs(pids[1] as number)).toBe(true);
    await using rig = await openRig({ folder });
    expect(await rig.host.recover([ask("long")])).toMatchObject([{ found: "alive" }]);
    writeFileSync(gate, "");
    expect((await rig.ended("long")).exit).toEqual({ read: "code", code: 3 });
    await until("the other leaves too", () => !runs(pids[1] as number));
  }, 60_000);

  test("what a shim serves now is left alone when the end of what it served before is told", async () => {
    const folder = freshFolder();
    const first = agent(folder, [order("now", "sleep", ["600"])]);
    await until("it runs", () => first.started.size === 1);
    // As the agent left it that died between an end and its journal: the same shim claimed both, one after the other.
    const before = join(folder, "attempts/before");
    mkdirSync(before);
    const claim = readFileSync(join(folder, "attempts/now/started"), "latin1");
    writeFileSync(join(before, "started"), claim.replace(/^now /m, "before "));
    writeFileSync(join(before, "exit"), "before 4 end\n".padEnd(64));
    await first.die();
    await using rig = await openRig({ folder });
    expect(await rig.host.recover([ask("before"), ask("now")])).toMatchObject([
      { found: "exited", exit: { read: "code", code: 4 } },
      { found: "alive" },
    ]);
    rig.host.kill("now");
    expect((await rig.ended("now")).exit).toEqual({ read: "signal", signal: "SIGKILL" });
  }, 30_000);
});

describe("a folder that serves again", () => {
  test("is not one whose attempt may still have somebody: what got away writes to no other attempt", async () => {
    await using rig = await openRig();
    const gate = join(rig.folder, "gate");
    // Nothing of it can be found: no group, no session, no tag. Only that it was born meanwhile.
    const late = `while ! [ -e '${gate}' ]; do sleep 0.02; done; echo stray; echo stray >file`;
    const first = rig.launch("/bin/sh", ["-c", `env -i setsid /bin/sh -c "${late}" & sleep 0.2`]);
    await rig.ended(first);
    await rig.host.remove(first);
    const next = rig.launch("/bin/sh", ["-c", `>'${gate}'; sleep 0.3; ls`]);
    await rig.ended(next);
    expect(rig.output(next).toString()).toBe("");
  });

  test("is not the working directory, nor has the output files, of what a daemon runs for the attempt before", async () => {
    await using rig = await openRig();
    const [door, ready, gate, done] = ["door", "ready", "gate", "done"].map((name) => join(rig.folder, name));
    spawnSync("mkfifo", [door as string]);
    // Older than the attempt, and so is its child's parent: it is somebody else's, and is not ended with the attempt.
    const wait = `>'${ready}'; while ! [ -e '${gate}' ]; do sleep 0.02; done; echo stray; echo stray >file; >'${done}'`;
    const serve = `read -r d <'${door}'; (cd "$d" && exec >>../stdout && ${wait}) & wait`;
    const daemon = spawn("/bin/sh", ["-c", serve], { detached: true, stdio: "ignore", env: { PATH: process.env["PATH"] } });
    onTestFinished(() => void sendSignal(-(daemon.pid as number), "SIGKILL"));
    const first = rig.launch("/bin/sh", ["-c", `pwd >'${door}'; while ! [ -e '${ready}' ]; do sleep 0.02; done`]);
    await rig.ended(first);
    await rig.host.remove(first);
    const look = `>'${gate}'; while ! [ -e '${done}' ]; do sleep 0.02; done; ls`;
    const next = rig.launch("/bin/sh", ["-c", look]);
    await rig.ended(next);
    expect(rig.output(next).toString()).toBe("");
  }, 30_000);

  test("runs nothing for an order that was meant for the attempt before", async () => {
    await using rig = await openRig();
    const witness = join(rig.folder, "witness");
    // Prepared for one attempt, found by a shim under the name of another: the shim that stalled on its way.
    rig.launch("/bin/sh", ["-c", `echo ran >>'${witness}'`], { attempt: "owner" });
    await rig.ended("owner");
    writeFileSync(join(rig.host.folderOf("owner"), "started"), "\n");
    writeFileSync(join(rig.host.folderOf("owner"), "exit"), " ".repeat(64));
    renameSync(rig.host.folderOf("owner"), rig.host.folderOf("stranger"));
    await using shims = lateShims(rig.folder);
    shims.give("stranger");
    const claim = await until("its claim", () => claimIn(rig.host.folderOf("stranger"), "stranger"));
    shims.close();
    await until("it leaves", () => !runs(claim.pid));
    expect(readExit(rig.host.folderOf("stranger"), "stranger")).toEqual({ is: "blank" });
    expect(readFileSync(witness, "utf8")).toBe("ran\n");
  });
});

test("an attempt that is given to five shims at once runs once", async () => {
  await using rig = await openRig();
  const witness = join(rig.folder, "witness");
  const script = `echo ran >>'${witness}'`;
  await using late = lateShims(rig.folder);
  for (let i = 0; i < 10; i++) {
    const attempt = `five-${i}`;
    // Their fifos wait until the folder is there.
    const told = rig.launch("/bin/sh", ["-c", script], { attempt });
    await until("its folder", () => existsSync(join(rig.host.folderOf(told), "started")));
    for (let n = 0; n < 4; n++) late.giveToNew(attempt);
    expect((await rig.ended(told)).exit).toEqual({ read: "code", code: 0 });
  }
  late.close();
  expect(readFileSync(witness, "utf8")).toBe("ran\n".repeat(10));
}, 30_000);

describe("a claim", () => {
  const folderWith = (started: string): string => {
    const folder = freshFolder();
    writeFileSync(join(folder, "started"), started);
    return folder;
  };
  const line = (attempt: string, pid: number): string => `${attempt} ${pid} 5 ${bootId} ${pid} ${pid} end\n`;

  test("is the first line of the attempt, whatever stands before or behind it", () => {
    const folder = folderWith(`\n${line("other", 11)}${line("a", 12)}${line("a", 13)}a void end\n`);
    expect(readStarted(folder, "a")).toMatchObject({ is: "complete", started: { pid: 12 } });
    expect(makeVoid(folder, "a")).toBe(false);
    expect(makeVoid(folder, "b")).toBe(true);
    expect(readStarted(folder, "b")).toEqual({ is: "void" });
  });

  test("that was cut short is none, and the next one counts", () => {
    const folder = folderWith(`\na 12 5 ${bootId}`);
    expect(readStarted(folder, "a")).toEqual({ is: "incomplete" });
  });

  test("as earlier builds wrote it is read as well", () => {
    expect(readStarted(folderWith(`12 5 ${bootId} 12 12 end\n`), "a")).toMatchObject({ is: "complete", started: { pid: 12 } });
    expect(readStarted(folderWith("void end\n"), "a")).toEqual({ is: "void" });
    expect(readStarted(folderWith("\n"), "a")).toEqual({ is: "absent" });
  });
});
