import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../kit/until.ts";
import { agent, ask, bootId, freshFolder } from "./agents.ts";
import { clock, openRig, order, runs, type Started } from "./kit.ts";

describe("the agent dies by kill -9", () => {
  test("while 20 run: the next one adopts all 20 with the same pids, exit codes and complete output", async () => {
    const folder = freshFolder();
    const gate = join(folder, "gate");
    const script = `i=0; while [ $i -lt 50 ]; do echo "$0 before $i"; i=$((i+1)); done; while ! [ -e '${gate}' ]; do sleep 0.05; done; echo "$0 after"; echo err >&2; exit "$0"`;
    const orders = Array.from({ length: 20 }, (_, i) => order(`run-${i}`, "/bin/sh", ["-c", script, String(i)]));
    const first = agent(folder, orders);
    await until("all run", () => first.started.size === 20);
    await first.die();
    for (const { process } of first.started.values()) expect(runs(process.pid)).toBe(true);

    await using rig = await openRig({ folder });
    const found = await rig.host.recover(orders.map(({ attempt }) => ask(attempt)));
    expect(found).toEqual(
      orders.map(({ attempt }) => ({
        attempt,
        found: "alive",
        process: first.started.get(attempt)?.process,
        startedWall: first.started.get(attempt)?.startedWall,
      })),
    );
    writeFileSync(gate, "");
    for (const [i, { attempt }] of orders.entries()) {
      expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: i });
      const lines = Array.from({ length: 50 }, (_, n) => `${i} before ${n}\n`).join("");
      expect(rig.output(attempt).toString()).toBe(`${lines}${i} after\n`);
      expect(rig.output(attempt, "stderr").toString()).toBe("err\n");
    }
    expect(rig.told.every(([kind]) => kind === "ended")).toBe(true);
  }, 60_000);

  test("and what ended meanwhile is found with its code, its result and nothing left of it", async () => {
    const folder = freshFolder();
    const gate = join(folder, "gate");
    const script = `while ! [ -e '${gate}' ]; do sleep 0.05; done; echo '{"n":1}' >"$MUSTER_RESULT"; setsid sleep 600 & echo $!; exit 9`;
    const first = agent(folder, [order("meanwhile", "/bin/sh", ["-c", script])]);
    await until("it runs", () => first.started.size === 1);
    await first.die();
    writeFileSync(gate, "");
    const exit = join(folder, "attempts/meanwhile/exit");
    await until("its record", () => readFileSync(exit, "latin1").includes("end"));
    await using rig = await openRig({ folder });
    const [found] = await rig.host.recover([ask("meanwhile")]);
    expect(found).toMatchObject({
      found: "exited",
      exit: { read: "code", code: 9 },
      result: { kind: "inline", json: '{"n":1}\n' },
      process: first.started.get("meanwhile")?.process,
      timedOut: false,
      fenced: false,
    });
    expect(runs(Number(rig.output("meanwhile").toString()))).toBe(false);
  });

  test("and one that is stopped by SIGSTOP just then stays stopped, and goes on", async () => {
    const folder = freshFolder();
    const first = agent(folder, [order("paused", "/bin/sh", ["-c", "echo $$; while :; do sleep 0.05; done"])]);
    await until("it runs", () => first.started.size === 1);
    // A signal between fork and exec would stop the child alone, for which its shim waits.
    const out = join(folder, "attempts/paused/stdout");
    await until("its program", () => existsSync(out) && readFileSync(out, "latin1") !== "");
    const { pid } = (first.started.get("paused") as Started).process;
    process.kill(-pid, "SIGSTOP");
    const isStopped = (): boolean => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
    await until("it to be stopped", isStopped);
    await first.die();
    await using rig = await openRig({ folder });
    expect(await rig.host.recover([ask("paused")])).toMatchObject([{ found: "alive" }]);
    expect(isStopped()).toBe(true);
    rig.host.kill("paused");
    await rig.ended("paused");
  });

  test("the launcher that it leaves goes with its last attempt", async () => {
    const folder = freshFolder();
    const first = agent(folder, [order("last", "sleep", ["600"])]);
    await until("it runs", () => first.started.size === 1);
    await first.die();
    const shim = (first.started.get("last") as Started).process.pid;
    const launcher = Number(/^PPid:\s+([0-9]+)/m.exec(readFileSync(`/proc/${shim}/status`, "latin1"))?.[1]);
    expect(readFileSync(`/proc/${launcher}/cmdline`, "latin1")).toContain("launcher.sh");
    process.kill(-shim, "SIGKILL");
    await until("the launcher is gone", () => !runs(launcher));
  });
});

/** Empty when there is no such file just now. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

describe("deadlines", () => {
  const passing = (ms: number, fence = false, graceMs = 3_000) => ({
    timeoutMono: fence ? null : clock.now().mono + ms,
    fenceMono: fence ? clock.now().mono + ms : null,
    graceMs,
  });
  const far = 3_600_000;
  const watchdogOf = (folder: string): number | undefined => {
    const claim = /^([0-9]+) [0-9]+ \S+ end 2\n/.exec(textOf(join(folder, "watchdog")));
    return claim ? Number(claim[1]) : undefined;
  };

  test("are kept by the watchdog when no agent lives: TERM, grace, KILL to the whole tree", async () => {
    const folder = freshFolder();
    const stubborn = "trap 'echo term' TERM; setsid sleep 600 & echo $!; while :; do sleep 0.1; done";
    const orders = [
      order("soft", "sleep", ["600"], { deadlines: passing(far) }),
      order("hard", "/bin/sh", ["-c", stubborn], { deadlines: passing(far) }),
      order("fence", "sleep", ["600"], { deadlines: passing(far, true) }),
      order("free", "sleep", ["600"]),
    ];
    const first = agent(folder, orders);
    await until("all run and are watched", () => first.started.size === 4 && watchdogOf(folder) !== undefined);
    // Before that line it would not take TERM as it shall.
    await until("the stubborn one's trap", () => textOf(join(folder, "attempts/hard/stdout")).includes("\n"));
    const before = textOf(join(folder, "deadlines/fence"));
    first.setDeadlines([
      ["soft", passing(0)],
      ["hard", passing(0)],
      ["fence", passing(0, true)],
    ]);
    await until("the last of them to be written", () => textOf(join(folder, "deadlines/fence")) !== before);
    await first.die();
    const pids = ["soft", "hard", "fence"].map((attempt) => (first.started.get(attempt) as Started).process.pid);
    const escaped = Number(textOf(join(folder, "attempts/hard/stdout")).split("\n")[0]);
    // Before the next agent comes: by the watchdog alone.
    await until("all three are gone, and who had left the group", () => ![...pids, escaped].some(runs), 30_000);
    await using rig = await openRig({ folder });
    const found = await rig.host.recover(orders.map(({ attempt }) => ask(attempt)));
    expect(found).toMatchObject([
      { found: "exited", timedOut: true, fenced: false },
      { found: "exited", timedOut: true, fenced: false, exit: { read: "signal", signal: "SIGKILL" } },
      { found: "exited", timedOut: false, fenced: true },
      { found: "alive" },
    ]);
    expect(rig.output("hard").toString()).toBe(`${escaped}\nterm\n`);
    expect(readdirSync(join(folder, "deadlines")).filter((name) => !name.startsWith("."))).toEqual([]);
    rig.host.kill("free");
    await rig.ended("free");
  }, 60_000);

  test("can be moved: a renewed one does not end the attempt at the old time", async () => {
    await using rig = await openRig();
    const endless = ["-c", "echo ready; exec sleep 600"];
    // The watchdog looks at them in the order of their names.
    const renewed = rig.launch("/bin/sh", endless, { attempt: "a-renewed", deadlines: passing(far, true) });
    const left = rig.launch("/bin/sh", endless, { attempt: "b-left", deadlines: passing(far, true) });
    const ready = (attempt: string): boolean => textOf(join(rig.host.folderOf(attempt), "stdout")) !== "";
    await until("both run", () => ready(renewed) && ready(left));
    const watchdog = await until("the watchdog", () => watchdogOf(rig.folder));
    // It looks at nothing between the two: else it might come first where this process has to wait.
    process.kill(watchdog, "SIGSTOP");
    await until("it to stand", () => /^State:\s+T/m.test(readFileSync(`/proc/${watchdog}/status`, "latin1")));
    for (const attempt of [renewed, left]) rig.host.setDeadlines(attempt, passing(0, true, 60_000));
    rig.host.setDeadlines(renewed, passing(far, true));
    process.kill(watchdog, "SIGCONT");
    expect(await rig.ended(left)).toMatchObject({ fenced: true, termBefore: false, exit: { read: "code", code: 143 } });
    // One tick looks at both, so the renewed one had its turn.
    expect(rig.told.some(([kind, event]) => kind === "ended" && event.attempt === renewed)).toBe(false);
    rig.host.kill(renewed);
    await rig.ended(renewed);
  }, 30_000);

  test("a watchdog that was killed is started again, and a foreign process is none", async () => {
    await using rig = await openRig();
    // What a host that died hard leaves: a claim with the number of somebody else.
    writeFileSync(join(rig.folder, "watchdog"), `${process.pid} 1 ${bootId} end\n`);
    const attempt = rig.launch("sleep", ["600"], { deadlines: passing(far) });
    await rig.started(attempt);
    const watchdog = (): number | undefined => watchdogOf(rig.folder);
    const first = await until("a watchdog", () => watchdog() !== process.pid && watchdog());
    process.kill(first, "SIGKILL");
    const second = await until("another", () => watchdog() !== first && watchdog());
    expect(readFileSync(`/proc/${second}/cmdline`, "latin1")).toContain("watchdog.sh");
    rig.host.kill(attempt);
    await rig.ended(attempt);
    await until("it goes when there is nothing to watch", () => !runs(second), 30_000);
  }, 60_000);
});

test("a launcher that was killed is started again, and what it had not read is launched all the same, once", async () => {
  await using rig = await openRig();
  const warm = rig.launch("sleep", ["600"]);
  const { process: shim } = await rig.started(warm);
  const launcher = Number(/^PPid:\s+([0-9]+)/m.exec(readFileSync(`/proc/${shim.pid}/status`, "latin1"))?.[1]);
  process.kill(launcher, "SIGSTOP");
  const attempts = Array.from({ length: 20 }, () => rig.launch("/bin/sh", ["-c", "echo once"]));
  await until("their folders are made", () => attempts.every((attempt) => existsSync(join(rig.host.folderOf(attempt), "exit"))));
  process.kill(launcher, "SIGKILL");
  for (const attempt of attempts) {
    expect((await rig.ended(attempt)).exit).toEqual({ read: "code", code: 0 });
    expect(rig.output(attempt).toString()).toBe("once\n");
  }
  expect(runs(shim.pid)).toBe(true);
  rig.host.kill(warm);
  await rig.ended(warm);
});
