import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { readBootId, readStat } from "../../../worker/process/proc.ts";
import { onPath } from "../../../worker/process/who.ts";
import { until } from "../../kit/until.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-watchdog-"));
  for (const name of ["deadlines", "attempts/a1"]) mkdirSync(join(folder, name), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const script = readFileSync(resolve(import.meta.dirname, "../../../worker/process/watchdog.sh"), "utf8");

/** The watchdog as it would be if the scheduler let it stand, once, behind its look at an attempt that is past its deadline. */
function standing(): string {
  const scan = '  kill_tagged "$1" || return\n';
  expect(script.split(scan)).toHaveLength(2);
  const gate = `  : >${folder}/stands\n  while ! [ -e ${folder}/go ]; do sleep 0.05; done\n`;
  return script.replace(scan, gate + scan);
}

test("a deadline that passed before the attempt was claimed does not kill a group without a mark: its shim may serve another by then", async () => {
  const boot = readBootId() ?? "";
  const uptime = Math.floor(Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]));
  writeFileSync(join(folder, "deadlines/a1"), `${boot} ${uptime - 1} - 60 end\n`);
  writeFileSync(join(folder, "attempts/a1/exit"), " ".repeat(64));
  writeFileSync(join(folder, "watchdog.sh"), standing());
  const watchdog = spawn("sh", [join(folder, "watchdog.sh"), folder, boot], { stdio: "ignore" });
  const shim = spawn("sleep", ["60"], { stdio: "ignore", detached: true });
  try {
    const died = new Promise<NodeJS.Signals | null>((done) => shim.once("exit", (_code, signal) => done(signal)));
    await until("the watchdog to stand", () => existsSync(join(folder, "stands")));
    const stat = readStat(shim.pid ?? 0);
    const claim = `a1 ${stat?.pid} ${stat?.startTicks} ${boot} ${stat?.group} ${stat?.session} end\n`;
    writeFileSync(join(folder, "attempts/a1/started"), claim);
    writeFileSync(join(folder, "go"), "");
    // It is ended in good order at the next look: marked first, then asked.
    expect(await died).toBe("SIGTERM");
    expect(readFileSync(join(folder, "attempts/a1/term"), "latin1")).toMatch(/^timedOut \d+ end\n$/);
  } finally {
    watchdog.kill("SIGKILL");
    shim.kill("SIGKILL");
    spawnSync("pkill", ["-KILL", "-f", join(folder, "watchdog.sh")]);
  }
});

test("what an attempt left behind is killed also where the environment of somebody else cannot be read", async () => {
  const boot = readBootId() ?? "";
  // As it is for whoever is not root, and on a host where processes come and go: grep(1) finds it, and ends with 2.
  const grep = join(folder, "grep");
  const path = process.env["PATH"] ?? "";
  writeFileSync(grep, `#!/bin/sh\nexec ${onPath("grep", path)} "$@" /proc/nobody/environ\n`);
  chmodSync(grep, 0o755);
  writeFileSync(join(folder, "deadlines/a1"), `${boot} 0 - 0 end\n`);
  writeFileSync(join(folder, "attempts/a1/started"), `a1 4194000 1 ${boot} 4194000 4194000 end\n`);
  writeFileSync(join(folder, "attempts/a1/exit"), " ".repeat(64));
  const left = spawn("sleep", ["60"], {
    stdio: "ignore",
    env: { MUSTER_RESULT: join(folder, "attempts/a1/result"), PATH: path },
  });
  onTestFinished(() => void left.kill("SIGKILL"));
  const died = new Promise<NodeJS.Signals | null>((done) => left.once("exit", (_code, signal) => done(signal)));
  writeFileSync(join(folder, "watchdog.sh"), script);
  const watchdog = spawn("sh", [join(folder, "watchdog.sh"), folder, boot], {
    stdio: "ignore",
    env: { PATH: `${folder}:${path}` },
  });
  onTestFinished(() => void watchdog.kill("SIGKILL"));
  await until("the deadline to be dropped", () => !existsSync(join(folder, "deadlines/a1")));
  expect(left.signalCode ?? (await died)).toBe("SIGKILL");
});

test("what left its group and forks and ends again and again is ended with its attempt", async () => {
  const boot = readBootId() ?? "";
  const link = join(folder, "link");
  const escaped = join(folder, "escaped");
  writeFileSync(escaped, `#!/bin/sh\n: >${link} || exit\n"$0" 2>/dev/null &\n`, { mode: 0o755 });
  const env = { PATH: "/usr/bin:/bin", MUSTER_RESULT: `${folder}/attempts/a1/result` };
  const own = spawn(escaped, { env, stdio: "ignore", detached: true });
  const goes = (): boolean => {
    rmSync(link, { force: true });
    for (let wait = 0; wait < 20; wait++) spawnSync("true");
    return existsSync(link);
  };
  let watchdog;
  try {
    await until("it to be there", () => existsSync(link));
    // Its shim is gone, and was another boot's by all that is known.
    writeFileSync(join(folder, "attempts/a1/started"), `a1 4194000 1 another-boot 4194000 4194000 end\n`);
    writeFileSync(join(folder, "attempts/a1/exit"), " ".repeat(64));
    writeFileSync(join(folder, "deadlines/a1"), `${boot} 1 - 1 end\n`);
    watchdog = spawn("sh", [resolve(import.meta.dirname, "../../../worker/process/watchdog.sh"), folder, boot], {
      stdio: "ignore",
    });
    await until("it to be ended", () => !goes());
    await until("its deadline to be dropped", () => !existsSync(join(folder, "deadlines/a1")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
    for (const one of [watchdog, own]) one?.kill("SIGKILL");
  }
});
