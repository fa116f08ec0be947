import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeGate, type Gate } from "../../kit/gate.ts";
import { HandManager } from "../../kit/hand-manager.ts";
import { OwnHost, ownHostMissing, type Decoy } from "../../kit/own-host.ts";
import { until } from "../../kit/until.ts";
import { WorkerProcess } from "../../kit/worker-process.ts";
import { countsOf, Notes } from "../hosts/findings.ts";
import { agentPid, linesOf, sendStarts } from "../hosts/lone-worker.ts";
import type { Scenario } from "../scenario.ts";

/** What becomes of an attempt while no agent lives, before a decoy takes its shim's number. */
const fates = ["ended", "killed", "otherBoot", "deadline"] as const;
type Fate = (typeof fates)[number];

interface Taken {
  readonly id: string;
  readonly fate: Fate;
  readonly code: number;
}

interface Stage {
  readonly host: OwnHost;
  readonly manager: HandManager;
  readonly worker: WorkerProcess;
  readonly witness: string;
  readonly gate: Gate;
  readonly endGate: Gate;
  readonly ids: readonly string[];
  readonly taken: readonly Taken[];
  readonly notes: Notes;
}

const outputLines = 300;
const lines = (id: string, word: string): string =>
  Array.from({ length: outputLines }, (_, i) => `${id} ${word} ${i}\n`).join("");
const print = (id: string, word: string): string =>
  `i=0; while [ $i -lt ${outputLines} ]; do echo "${id} ${word} $i"; i=$((i+1)); done`;

export const adopt: Scenario = {
  name: "adopt",
  about:
    "The agent is killed while 100 processes run, and others take the numbers of some that end: all are adopted, no stranger is signalled.",
  missing: ownHostMissing,
  async play({ kind }, say) {
    await using stack = new AsyncDisposableStack();
    const host = stack.use(await OwnHost.boot());
    const manager = stack.use(await HandManager.start("w"));
    const worker = stack.use(new WorkerProcess("w", manager.port, { MUSTER_WORKER_SLOTS: "300", MUSTER_LOG_LEVEL: "warn" }));
    const running = kind === "full" ? 100 : 8;
    const each = kind === "full" ? 5 : 1;
    const stage: Stage = {
      host,
      manager,
      worker,
      witness: join(worker.folder, "witness"),
      gate: stack.use(makeGate(join(worker.folder, "gate"))),
      endGate: stack.use(makeGate(join(worker.folder, "end-gate"))),
      ids: Array.from({ length: running }, (_, i) => `run-${i}`),
      // A deadline takes its time.
      taken: fates
        .filter((fate) => kind === "full" || fate !== "deadline")
        .flatMap((fate) => Array.from({ length: each }, (_, i) => ({ id: `${fate}-${i}`, fate, code: 40 + i }))),
      notes: new Notes(),
    };
    await begin(stage);
    const before = await identities(stage);
    say(`${running} processes run, and ${stage.taken.length} that others will take the numbers of; the agent is killed`);
    const pid = await agentPid(worker);
    await host.kill(pid);
    const decoys = await takeNumbers(stage);
    say(`${decoys.length} decoys have the recorded numbers; the agent starts again`);
    const hellos = manager.hellos.length;
    const startedMs = performance.now();
    worker.start([], {}, host.before);
    await manager.synced();
    stage.notes.figure("syncedAgainMs", Math.round(performance.now() - startedMs));
    checkInventory(stage, hellos);
    stage.notes.same("process identities after the restart", await identities(stage), before);
    await manager.send(...stage.taken.map(({ id }) => ({ kind: "signal", attempt: id, signal: "SIGTERM" }) as const));
    await manager.send(...stage.taken.map(({ id }) => ({ kind: "stop", attempt: id, by: "tester", graceSeconds: 0 }) as const));
    stage.gate.letPass(running);
    await checkAdopted(stage);
    await checkTaken(stage);
    checkWitness(stage);
    stage.notes.figure("decoys", decoys.length);
    const harmed = await host.harmed(decoys);
    stage.notes.figure("decoysHarmed", harmed.length);
    stage.notes.violated(...harmed);
    return stage.notes.findings;
  },
};

async function begin({ host, manager, worker, witness, gate, endGate, ids, taken }: Stage): Promise<void> {
  worker.start([], {}, host.before);
  await manager.synced();
  const script = (id: string, wait: string, code: number): string =>
    `echo "${id} began $$" >>${witness}; ${print(id, "before")}; ${wait}; ${print(id, "after")}; echo "${id} ends $$" >>${witness}; exit ${code}`;
  await sendStarts(
    manager,
    ids.map((id, i) => manager.script(id, script(id, gate.wait, i % 120))),
  );
  for (const id of ids) await manager.running(id);
  // Last, so that the deadline lies behind the agent's death.
  const timeoutSeconds = 15;
  await sendStarts(
    manager,
    taken.map(({ id, fate, code }) =>
      manager.script(id, script(id, fate === "ended" ? endGate.wait : "sleep 600", code), {
        timeoutSeconds: fate === "deadline" ? timeoutSeconds : null,
      }),
    ),
  );
  const all = [...ids, ...taken.map(({ id }) => id)];
  for (const id of all) await manager.running(id);
  await until("all to have said that they began", () => linesOf(witness).length === all.length);
}

function pidOf({ manager }: Stage, id: string): number {
  return manager.applied.find((report) => report.attempt === id && report.kind === "running")?.pid ?? 0;
}

/** Shim and program of each attempt that shall be adopted, by pid and start time. */
async function identities(stage: Stage): Promise<Record<string, string>> {
  const programs = new Map(
    linesOf(stage.witness)
      .map((line) => line.split(" "))
      .map(([id, , pid]) => [id, pid]),
  );
  const pids = stage.ids.flatMap((id) => [String(pidOf(stage, id)), programs.get(id) ?? "0"]);
  const seen = await stage.host.sh(
    `for pid in "$@"; do read -r line <"/proc/$pid/stat" 2>/dev/null || line="$pid (gone) gone"; set -- \${line##*) }; echo "$pid \${20-gone}"; done`,
    ...pids,
  );
  const found = seen.trim().split("\n");
  return Object.fromEntries(stage.ids.map((id, i) => [id, `shim ${found[2 * i]}, program ${found[2 * i + 1]}`]));
}

/** Lets the taken ones end, each in its way, and gives the numbers of their shims to decoys. */
async function takeNumbers(stage: Stage): Promise<Decoy[]> {
  const { host, worker, taken, endGate } = stage;
  endGate.letPass(taken.filter(({ fate }) => fate === "ended").length);
  const decoys: Decoy[] = [];
  for (const { id, fate } of taken) {
    const pid = pidOf(stage, id);
    if (fate !== "ended") await host.sh(`kill -s KILL -- -${pid}`);
    await until(
      `the number ${pid} of ${id} to be free`,
      async () => (await host.sh(`kill -s 0 -- -${pid} 2>/dev/null || echo free`)) !== "",
    );
    const decoy = await host.decoy(pid);
    decoys.push(decoy);
    if (fate === "otherBoot") {
      const file = join(worker.attemptFolder(id), "started");
      const claim = `${id} ${decoy.pid} ${decoy.startTicks} ${randomUUID()} ${decoy.pid} ${decoy.pid} end`;
      writeFileSync(file, `\n${claim}\n`);
    }
  }
  // The watchdog, which outlives the agent, lets go of an attempt whose deadline passed and of which nothing is left.
  for (const { id, fate } of taken) {
    if (fate !== "deadline") continue;
    await until(`the watchdog to be through with ${id}`, () => !existsSync(join(worker.folder, "worker/deadlines", id)), 60_000);
  }
  return decoys;
}

function checkInventory({ manager, ids, notes }: Stage, hellos: number): void {
  const running = manager.hellos
    .slice(hellos)
    .flatMap((hello) => hello.inventory.items)
    .filter((item) => item.state === "running")
    .map((item) => item.attempt);
  notes.figure("adopted", new Set(running).size);
  notes.same("what the new agent says that runs", [...new Set(running)].toSorted(), ids.toSorted());
}

async function checkAdopted(stage: Stage): Promise<void> {
  const { manager, ids, notes } = stage;
  for (const [i, id] of ids.entries()) {
    const report = await manager.endOf(id, 120_000);
    notes.same(`the end of ${id}`, report.end, { how: "exited", code: i % 120 });
    notes.same(`the pid of ${id} in its end`, report.pid, pidOf(stage, id));
    const whole = lines(id, "before") + lines(id, "after");
    const arrived = await until(`the output of ${id}`, () => manager.logs.end(id, "stdout") >= whole.length, 60_000).catch(
      () => false,
    );
    if (!arrived || manager.logs.bytes(id, "stdout").toString() !== whole)
      notes.violated(
        `the output of ${id} has ${manager.logs.end(id, "stdout")} bytes, and is not the ${whole.length} that were written`,
      );
    notes.count("rightEnds", report.end.how === "exited" && report.end.code === i % 120 ? 1 : 0);
  }
}

async function checkTaken({ manager, taken, notes }: Stage): Promise<void> {
  for (const { id, fate, code } of taken) {
    const { end } = await manager.endOf(id, 60_000);
    if (fate === "ended") notes.same(`the end of ${id}`, end, { how: "exited", code });
    else notes.same(`how ${id} ended, of which nobody knows (${JSON.stringify(end)})`, end.how, "lost");
  }
}

function checkWitness({ witness, ids, taken, notes }: Stage): void {
  const counts = countsOf(linesOf(witness).map((line) => line.split(" ").slice(0, 2).join(" ")));
  for (const id of [...ids, ...taken.map((one) => one.id)]) {
    const began = counts.get(`${id} began`) ?? 0;
    notes.count("startedTwice", began > 1 ? 1 : 0);
    if (began !== 1) notes.violated(`${id} began ${began} times`);
  }
  for (const id of ids)
    if (counts.get(`${id} ends`) !== 1) notes.violated(`${id} came ${counts.get(`${id} ends`) ?? 0} times to its end`);
}
