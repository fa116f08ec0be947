import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { HandManager } from "../../kit/hand-manager.ts";
import { until } from "../../kit/until.ts";
import { WorkerProcess } from "../../kit/worker-process.ts";
import { Notes } from "../hosts/findings.ts";
import { linesOf, sendStarts } from "../hosts/lone-worker.ts";
import { makePidsLimit, pidsLimitMissing } from "../../kit/pids-limit.ts";
import { living, sign, zombies } from "../hosts/processes.ts";
import { pidsThatMention } from "../../kit/sweep.ts";
import { processLimits } from "../../../worker/process/limits.ts";
import type { Scenario } from "../scenario.ts";

interface Stage {
  readonly manager: HandManager;
  readonly worker: WorkerProcess;
  /** Each process of a task writes its number and start time here. */
  readonly witness: string;
  readonly notes: Notes;
  readonly many: number;
}

export const trees: Scenario = {
  name: "trees",
  about:
    "Tasks ignore TERM, send children away, leave zombies, pass their time, and fork without end: nothing of them outlives its end.",
  async play({ kind }, say) {
    const notes = new Notes();
    const many = kind === "full" ? 100 : 6;
    {
      await using stack = new AsyncDisposableStack();
      const manager = stack.use(await HandManager.start("w"));
      const worker = stack.use(new WorkerProcess("w", manager.port, { MUSTER_WORKER_SLOTS: "400", MUSTER_LOG_LEVEL: "warn" }));
      worker.start();
      await manager.synced();
      const stage: Stage = { manager, worker, witness: join(worker.folder, "witness"), notes, many };
      await stubborn(stage);
      say(`${many} that ignore TERM`);
      await escapes(stage);
      say(`${many} that send children away`);
      await timeouts(stage);
      say(`${many} that pass their time`);
      await leaveZombies(stage, kind === "full" ? 1_000 : 20);
      const left = living(linesOf(stage.witness));
      notes.figure("survivors", left.length);
      for (const line of left) notes.violated(`a process outlived its attempt: ${line}`);
    }
    const missing = pidsLimitMissing();
    // A bomb takes the whole machine for seconds, and other tests with it.
    if (kind === "small") notes.figure("forkBombs", "left out");
    else if (missing === undefined) await bombs(notes, ["group", "sessions"], say);
    else notes.figure("forkBombs", `skipped: ${missing}`);
    return notes.findings;
  },
};

async function begun(stage: Stage, ids: readonly string[], each = 1): Promise<void> {
  for (const id of ids) await stage.manager.running(id);
  const wanted = ids.length * each;
  const mine = (): number =>
    linesOf(stage.witness).filter((line) => ids.includes(line.split(" ")[0]?.split("/")[0] ?? "")).length;
  await until(`${wanted} processes to have signed`, () => mine() >= wanted, 60_000);
}

async function stubborn(stage: Stage): Promise<void> {
  const { manager, witness, notes, many } = stage;
  const ids = Array.from({ length: many }, (_, i) => `stubborn-${i}`);
  await sendStarts(
    manager,
    ids.map((id) => manager.script(id, `trap '' TERM; ${sign(id, witness)}; sleep 600 & while :; do wait; done`)),
  );
  await begun(stage, ids);
  const stoppedMs = performance.now();
  for (const id of ids) await manager.send({ kind: "stop", attempt: id, by: "tester", graceSeconds: 1 });
  for (const id of ids) notes.same(`the end of ${id}`, (await manager.endOf(id, 60_000)).end, { how: "stopped", by: "tester" });
  notes.figure("stubbornKilled", many - living(linesOf(witness)).length);
  notes.figure("stubbornGoneAfterGraceMs", Math.round(performance.now() - stoppedMs - 1_000));
}

/** How a child leaves its attempt's process group, from a script that is sh's last word. */
const ways: readonly ((child: string) => string)[] = [
  (child) => `setsid sh -c '${child}' &`,
  (child) => `(sh -c '${child}' &) &`,
  (child) => `(setsid sh -c '${child}' &) &`,
];

async function escapes(stage: Stage): Promise<void> {
  const { manager, witness, many } = stage;
  const ids = Array.from({ length: many }, (_, i) => `escape-${i}`);
  const script = (id: string, i: number): string => {
    const away = ways[i % ways.length]?.(`${sign(`${id}/child`, witness)}; sleep 600 & wait`) ?? "";
    // Every other one ends by itself, and leaves the child behind.
    const rest = i % 2 === 0 ? "sleep 600" : `while ! grep -q "^${id}/child " ${witness}; do sleep 0.1; done; exit 3`;
    return `${sign(id, witness)}; ${away} ${rest}`;
  };
  await sendStarts(
    manager,
    ids.map((id, i) => manager.script(id, script(id, i))),
  );
  await begun(stage, ids, 2);
  const stops = ids.filter((_, i) => i % 2 === 0);
  for (const id of stops) await manager.send({ kind: "stop", attempt: id, by: "tester", graceSeconds: 0 });
  for (const [i, id] of ids.entries()) {
    const wanted = i % 2 === 0 ? { how: "stopped", by: "tester" } : { how: "exited", code: 3 };
    stage.notes.same(`the end of ${id}`, (await manager.endOf(id, 60_000)).end, wanted);
    // At the very moment of its end, not some time later.
    for (const line of living(linesOf(witness)).filter((one) => one.startsWith(`${id}/`) || one.startsWith(`${id} `)))
      stage.notes.violated(`${id} was told to have ended while this process of it lived: ${line}`);
  }
}

async function timeouts(stage: Stage): Promise<void> {
  const { manager, witness, notes, many } = stage;
  const ids = Array.from({ length: many }, (_, i) => `late-${i}`);
  await sendStarts(
    manager,
    ids.map((id) => manager.script(id, `${sign(id, witness)}; sleep 600`, { timeoutSeconds: 2 })),
  );
  let latestMs = 0;
  for (const id of ids) {
    const { end, at } = await manager.endOf(id, 60_000);
    notes.same(`the end of ${id}`, end, { how: "timedOut" });
    latestMs = Math.max(latestMs, at - ((await manager.running(id)).at ?? at) - 2_000);
  }
  notes.figure("timedOut", many);
  notes.figure("timedOutLateMs", latestMs);
}

async function leaveZombies(stage: Stage, runs: number): Promise<void> {
  const { manager, worker, notes } = stage;
  const ids = Array.from({ length: runs }, (_, i) => `zombies-${i}`);
  // Two children that nobody waits for: one ends before its parent, one after.
  const script =
    "perl -e 'for my $s (0, 0.05) { my $p = fork; if ($p == 0) { select(undef, undef, undef, $s); exit 0 } } select(undef, undef, undef, 0.02)'";
  for (let at = 0; at < runs; at += 100) {
    const some = ids.slice(at, at + 100);
    await sendStarts(
      manager,
      some.map((id) => manager.script(id, script)),
    );
    for (const id of some) notes.same(`the end of ${id}`, (await manager.endOf(id, 60_000)).end, { how: "exited", code: 0 });
  }
  const ours = new Set(pidsThatMention(worker.folder));
  const count = await until(
    "the zombies to be buried",
    () => zombies((parent) => ours.has(parent)) === 0 && "none",
    10_000,
  ).catch(() => undefined);
  const left = count === "none" ? 0 : zombies((parent) => ours.has(parent));
  notes.figure(`zombiesAfter${runs}Runs`, left);
  // The launcher buries shims that have left so many at a time.
  if (left > processLimits.shimsPerSweep) notes.violated(`${left} zombies are left of ${runs} runs`);
}

/** A fork bomb in a worker whose processes are bounded; `group`: all in one process group, `sessions`: each in one of its own. */
async function bombs(notes: Notes, kinds: readonly ("group" | "sessions")[], say: (line: string) => void): Promise<void> {
  for (const kind of kinds) {
    await using stack = new AsyncDisposableStack();
    const limit = stack.use(makePidsLimit(64));
    const manager = stack.use(await HandManager.start("w"));
    // A fifth of the default: which beats a busy host delays by less is its own business.
    manager.heartbeatMs = 2_000;
    const worker = stack.use(new WorkerProcess("w", manager.port, { MUSTER_LOG_LEVEL: "warn" }));
    worker.start([], {}, limit.before);
    await manager.synced();
    const bystanders = Array.from({ length: 4 }, (_, i) => `bystander-${i}`);
    await manager.send(
      ...bystanders.map((id, i) => manager.script(id, `read -r _ </proc/uptime; exec perl -e 'sleep 6; exit ${i + 1}'`)),
    );
    for (const id of bystanders) await manager.running(id);
    const bomb = `exec nice -n 15 perl -e 'use POSIX; while (time - $^T < 40) { my $pid = fork; ${kind === "group" ? "" : "setsid() if defined $pid && $pid == 0;"} }'`;
    await manager.send(manager.script("bomb", bomb));
    await until("the bomb to fill its bound", () => limit.count() >= 60, 30_000);
    const beats = manager.heartbeats.length;
    const full = performance.now();
    for (const [i, id] of bystanders.entries())
      notes.same(`the end of ${id} beside a fork bomb (${kind})`, (await manager.endOf(id, 60_000)).end, {
        how: "exited",
        code: i + 1,
      });
    await after(1_000);
    const missed = Math.floor((performance.now() - full) / manager.heartbeatMs) - (manager.heartbeats.length - beats);
    notes.figure(`beatsMissedBeside${kind}Bomb`, Math.max(0, missed - 1));
    if (missed > 1) notes.violated(`${missed} heartbeats were missed beside a fork bomb (${kind})`);
    const stopMs = performance.now();
    await manager.send({ kind: "stop", attempt: "bomb", by: "tester", graceSeconds: 1 });
    const end = await manager.endOf("bomb", 60_000).catch(() => undefined);
    if (end) notes.same(`the end of the bomb (${kind})`, end.end, { how: "stopped", by: "tester" });
    else notes.violated(`a fork bomb (${kind}) was not gone 60 s after its stop: ${limit.count()} processes are left`);
    notes.figure(`${kind}BombGoneMs`, end ? Math.round(performance.now() - stopMs) : "never");
    // Its zombies count until process 1 has buried them.
    await until("the bomb's processes to be buried", () => limit.count() < 40, 30_000);
    await manager.send(manager.script("later", "exit 5"));
    const later = await manager.endOf("later", 90_000).catch(() => undefined);
    notes.same(`a run after the fork bomb (${kind})`, later?.end, { how: "exited", code: 5 });
    say(`a fork bomb, ${kind === "group" ? "in its group" : "each process in a session of its own"}`);
  }
}
