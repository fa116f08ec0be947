/** Rule 25: one look at the host finds all that belongs to an attempt, whatever becomes of it meanwhile. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, type TestContext } from "vitest";
import { processLimits } from "../../../worker/process/limits.ts";
import { makeLook, type LookOptions, type TreeOf } from "../../../worker/process/look.ts";
import { openPids, type Pids } from "../../../worker/process/pids.ts";
import { isAlive, readBootId, readStat, readTag } from "../../../worker/process/proc.ts";
import { until } from "../../kit/until.ts";
import { openRig } from "./kit.ts";

/** A program of python, which has threads and the C library. */
function python(ctx: TestContext, text: string): string {
  if (spawnSync("python3", ["-c", "import ctypes, threading"]).status !== 0) ctx.skip("python3 is not on this host");
  const folder = mkdtempSync(join(tmpdir(), "muster-look-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "program"), `import ctypes, os, sys, threading, time\n${text}`);
  return join(folder, "program");
}

/** Its first thread ends and another one goes on, which /proc shows as a zombie. */
const firstThreadEnds = `
threading.Thread(target=lambda: time.sleep(300)).start()
ctypes.CDLL(None).pthread_exit(None)`;

/** Nothing of what it was born with is mapped any more, as in the sandboxes of some container runtimes. */
const unmapped = `
libc = ctypes.CDLL(None)
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
def unmap():
    for line in open("/proc/self/maps"):
        if line.endswith("[stack]\\n"):
            first, end = (int(x, 16) for x in line.split()[0].split("-"))
            time.sleep(0.05)
            libc.munmap(first, end - first)
    time.sleep(300)
threading.Thread(target=unmap).start()
libc.sleep(300)`;

let count = 0;

/** What a look takes for the processes of one attempt, and the environment of those. */
function attempt(options: Partial<LookOptions> = {}) {
  const id = `look-${process.pid}-${++count}`;
  const look = makeLook({
    tagPrefix: "LOOKED_FOR=in/",
    bootId: readBootId() ?? "",
    pids: openPids(),
    attemptOf: () => undefined,
    ...options,
  });
  return {
    env: { PATH: process.env["PATH"], LOOKED_FOR: `in/${id}/rest` },
    look: async (tree: Partial<TreeOf> = {}) => {
      const seen = await look(new Map([[id, { started: null, born: null, rounds: 0, ...tree }]]));
      return { ...seen, found: seen.left.has(id) };
    },
  };
}

test("a process whose first thread has ended is looked at while another goes on", async (ctx) => {
  const program = python(ctx, firstThreadEnds);
  const { env, look } = attempt();
  const child = spawn("python3", [program], { env, stdio: "ignore", detached: true });
  onTestFinished(() => void child.kill("SIGKILL"));
  const pid = child.pid ?? 0;
  await until("its first thread to end", () => readStat(pid)?.state === "Z");
  expect(isAlive(readStat(pid))).toBe(true);
  expect(readTag(pid, Buffer.from("LOOKED_FOR=in/"))).toMatch(/^look-/);
  const gone = new Promise((done) => child.once("exit", done));
  expect(await look()).toMatchObject({ found: true });
  await gone;
  expect(isAlive(readStat(pid))).toBe(false);
});

test("such a process in a session of its own is gone when the end of its attempt is told", async (ctx) => {
  const program = python(ctx, firstThreadEnds);
  await using rig = await openRig();
  // So many processes that no number of theirs is looked at, for threads have numbers too.
  const many = `i=0; while [ $i -lt ${processLimits.pidsLookedAt} ]; do (:); i=$((i + 1)); done`;
  const zombie = "until grep -q '^State:.*Z' /proc/$!/status; do :; done";
  const id = rig.launch("/bin/sh", ["-c", `setsid python3 ${program} & echo $!; ${many}; ${zombie}`]);
  await rig.ended(id);
  const threads = `/proc/${rig.output(id).toString().trim()}/task`;
  // One of a zombie that nobody has buried yet.
  expect(existsSync(threads) ? readdirSync(threads).length : 0).toBeLessThan(2);
});

test("whose number is given out between the list and the look is found", async () => {
  const pids = openPids();
  let escape: (() => void) | undefined;
  // Born right behind the numbers of the list, from somebody who has ended before anybody could be looked at.
  const racing: Pids = {
    mark: () => pids.mark(),
    since: (mark, most) => {
      const numbers = pids.since(mark, most);
      escape?.();
      escape = undefined;
      return numbers;
    },
  };
  const { env, look } = attempt({ pids: racing });
  const born = pids.mark() ?? null;
  let pid = 0;
  escape = () => {
    pid = Number(spawnSync("/bin/sh", ["-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"], { env }).stdout);
  };
  expect(await look({ born })).toMatchObject({ found: true });
  await until("the escaped process to be gone", () => !isAlive(readStat(pid)));
});

test("where the kernel tells no numbers, who was born since the list is looked at all the same", async () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-look-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const chain = join(folder, "chain");
  const link = join(folder, "link");
  // Each forks and ends, and leaves a file.
  writeFileSync(chain, `#!/bin/sh\n: >${folder}/link || exit\n"$0" 2>/dev/null &\n`, { mode: 0o755 });
  const { env, look } = attempt({ pids: { mark: () => undefined, since: () => undefined } });
  for (let round = 0; round < 10; round++) {
    spawn("setsid", [chain], { env, stdio: "ignore" });
    await until("the chain to begin", () => existsSync(link));
    await until("a look that finds nothing", async () => {
      const seen = await look();
      return !seen.found && seen.whole;
    });
    rmSync(link);
    for (let wait = 0; wait < 20; wait++) spawnSync("true");
    expect(existsSync(link)).toBe(false);
  }
});

test("a stranger whose environment is not there for good makes no look unsure", async (ctx) => {
  const program = python(ctx, unmapped);
  const stranger = spawn("python3", [program], { stdio: "ignore", detached: true });
  onTestFinished(() => void stranger.kill("SIGKILL"));
  await until("its stack to be gone", () => !readFileSync(`/proc/${stranger.pid}/maps`, "latin1").includes("[stack]"));
  const { look } = attempt();
  expect(await look()).toMatchObject({ found: false, whole: true });
  expect(isAlive(readStat(stranger.pid ?? 0))).toBe(true);
});

test("what merely speaks of an attempt in its environment is no process of it", async () => {
  const { env, look } = attempt();
  const quoting = spawn("sleep", ["300"], { env: { NOTE: `LOOKED_FOR=${env.LOOKED_FOR}` }, stdio: "ignore" });
  const both = spawn("sleep", ["300"], { env: { NOTE: "LOOKED_FOR=in/other/rest", ...env }, stdio: "ignore" });
  const gone = new Promise((done) => both.once("exit", done));
  onTestFinished(() => void quoting.kill("SIGKILL"));
  await until("env to be there", () => readTag(both.pid ?? 0, Buffer.from("LOOKED_FOR=in/")));
  expect(await look()).toMatchObject({ found: true });
  await gone;
  expect(isAlive(readStat(quoting.pid ?? 0))).toBe(true);
});

test("a process with a large environment that becomes another program again and again is never taken for one without a tag", async () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-look-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const script = join(folder, "restless");
  writeFileSync(script, '#!/bin/sh\nexec "$0"\n', { mode: 0o755 });
  const env = { BIG: "x".repeat(100_000), TAG: "in/mine/rest" };
  const looper = spawn(script, { env, stdio: "ignore" });
  onTestFinished(() => void looper.kill("SIGKILL"));
  const tag = (): string | undefined | null => readTag(looper.pid ?? 0, Buffer.from("TAG=in/"));
  const tags = new Set<string | undefined | null>([await until("its tag", tag)]);
  for (let look = 0; look < 3_000; look++) tags.add(tag());
  expect([...tags].filter((tag) => tag !== null)).toEqual(["mine"]);
});

type Numbers = readonly [pidMax: number, newest: number];

test.for<readonly [what: string, then: Numbers, now: Numbers, ids: readonly number[] | undefined]>([
  ["are those behind the newest of then", [4_000_000, 500], [4_000_000, 503], [501, 502, 503]],
  ["begin anew at pid_max", [4_000_000, 3_999_998], [4_000_000, 1], [3_999_999, 0, 1]],
  ["are unknown once pid_max was raised", [4_000_000, 3_999_998], [8_000_000, 4_000_002], undefined],
  ["are unknown once pid_max was lowered", [8_000_000, 4_000_000], [4_000_000, 300], undefined],
  ["are unknown when the newest of then was above pid_max", [4_000_000, 5_000_000], [4_000_000, 301], undefined],
])("process ids given out since an instant %s", ([, then, now, ids]) => {
  const folder = mkdtempSync(join(tmpdir(), "muster-look-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const say = ([pidMax, newest]: Numbers): void => {
    writeFileSync(join(folder, "pid_max"), `${pidMax}\n`);
    writeFileSync(join(folder, "ns_last_pid"), `${newest}\n`);
  };
  say(then);
  const pids = openPids(folder);
  const mark = pids.mark();
  say(now);
  expect(mark && pids.since(mark, 512)).toEqual(ids);
});
