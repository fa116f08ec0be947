import { readFileSync } from "node:fs";
import { readCommands } from "../../../worker/door.ts";
import type { Connection } from "../../../broker/broker.ts";
import { addClient } from "../../../broker/credentials.ts";
import { mqttConnector } from "../../../broker/mqtt.ts";
import { uplinkTopic, type UplinkKind } from "../../../schema/topics.ts";
import { Fleet, type Member } from "../../kit/fleet.ts";
import { newcomer } from "../../kit/hello.ts";
import { HandManager } from "../../kit/hand-manager.ts";
import { WorkerProcess } from "../../kit/worker-process.ts";
import { Notes } from "../hosts/findings.ts";
import { poison, type Poison } from "../hosts/poison-corpus.ts";
import type { Scenario } from "../scenario.ts";

const seed = 20_261_121;
/** More than any bound, so that it is the other side that says no. */
const unbounded = 10_000_000;
const oversized = [300 * 1_024, 5_000_000];

export const poisoned: Scenario = {
  name: "poison",
  about:
    "A rogue with a worker's own rights, and one with the manager's, send what nobody would: nobody ends, others' work goes on, each piece is counted.",
  async play({ kind }, say) {
    const notes = new Notes();
    const count = kind === "full" ? 1_000 : 30;
    await poisonManager(notes, count);
    say("the manager had its part");
    await poisonWorker(notes, count);
    return notes.findings;
  },
};

const head = { v: 1, epoch: "odd_odd_odd_.1.nonce_nonce_", connection: 1, mono: 1_000 };
const facts = {
  os: "linux",
  arch: "x64",
  hostname: "odd",
  cpus: 1,
  memoryMb: 1,
  interpreters: {},
  drivers: [],
  agentVersion: "0",
  bootId: "b",
};
const item = { attempt: "nobodys", start: 1, at: 1 };
/** Sound messages of a worker, each for its topic. */
const uplinks: readonly (readonly [UplinkKind, unknown])[] = [
  [
    "hello",
    {
      ...head,
      facts,
      labels: { a: "b" },
      capacity: { slots: 1, memoryMb: 1, cpus: 1 },
      ...newcomer,
      inventory: { part: 1, of: 1, items: [{ attempt: "x", run: "y", start: 1, state: "running" }] },
    },
  ],
  [
    "heartbeat",
    {
      ...head,
      free: { slots: 1, memoryMb: 1, cpus: 1 },
      load: { cpu: 0, memoryMb: 1 },
      settingsVersion: 1,
      draining: false,
      spoolBytes: 0,
      live: "d",
    },
  ],
  [
    "reports",
    {
      ...head,
      journal: "odd_odd_odd_",
      items: [
        { seq: 1, ...item, kind: "end", end: { how: "exited", code: 0 } },
        { seq: 2, ...item, kind: "progress", percent: 5, message: "m" },
      ],
    },
  ],
  ["logs", { ...head, start: 1, attempt: "nobodys", stream: "stdout", offset: 0, data: "aGVsbG8=" }],
  ["status", { st: "on", ep: head.epoch, cn: 1 }],
];

async function poisonManager(notes: Notes, count: number): Promise<void> {
  await using fleet = await Fleet.start({ MUSTER_HEARTBEAT_MS: "1000", MUSTER_WORKER_SLOTS: "20" });
  await fleet.startWorker("a");
  const password = addClient(`${fleet.folder}/manager/credentials.json`, { username: "odd", pool: "default", role: "worker" });
  const dial = (): Promise<Connection> =>
    mqttConnector({ url: `mqtt://127.0.0.1:${fleet.brokerPort}`, username: "odd", password, maxPayloadBytes: unbounded }).connect(
      { clientId: "odd", take: () => undefined },
      new AbortController().signal,
    );
  const task = await fleet.task({
    name: "beside",
    run: { driver: "exec", program: "/bin/sleep", args: ["0.05"] },
    constraints: ["worker=a"],
  });
  const begun: string[] = [];
  let odd = await dial();
  let slowestMs = 0;
  let sent = 0;
  for (const [kind, sound] of uplinks) {
    const topic = uplinkTopic("muster", "default", "odd", kind);
    for (const { payload } of poison([sound], seed, Math.ceil(count / uplinks.length))) {
      await odd.publish(topic, payload, { qos: 1 }).catch(async () => (odd = await dial()));
      sent += 1;
      if (sent % 25 === 0) slowestMs = Math.max(slowestMs, await startOne(fleet, task, begun));
    }
  }
  for (const bytes of oversized) {
    await odd
      .publish(uplinkTopic("muster", "default", "odd", "reports"), Buffer.alloc(bytes, "x"), { qos: 0 })
      .catch(() => undefined);
    await odd.closed;
    odd = await dial();
  }
  for (const wrong of [
    "muster/v1/default/a/up/reports",
    "muster/v1/default/odd/down/commands",
    "muster/v1/other/odd/up/hello",
    "$SYS/x",
    "muster/v1/__proto__/constructor/up/hello",
  ])
    await odd.publish(wrong, Buffer.from(JSON.stringify(uplinks[0]?.[1])), { qos: 1 }).catch(async () => (odd = await dial()));
  slowestMs = Math.max(slowestMs, await startOne(fleet, task, begun));
  for (const id of begun) notes.same(`run ${id} beside the poison`, (await fleet.ended(id)).state, "succeeded");
  alive(notes, "the manager", fleet.manager);
  const health = await fleet.call("GET", "/health");
  if (health.status !== 200 && health.status !== 503) notes.violated(`/health answers ${health.status} after the poison`);
  const lines = readFileSync(fleet.manager?.logFile ?? "", "utf8").split("\n");
  const unreadable = lines.filter((line) => line.includes('"outcome":"unreadable"')).length;
  notes.figure("sentToManager", sent);
  notes.figure("setAsideByManager", unreadable);
  notes.figure("runsBesideIt", begun.length);
  notes.figure("slowestStartBesideItMs", Math.round(slowestMs));
  if (unreadable < 20) notes.violated(`the manager told of ${unreadable} unreadable messages of ${sent}`);
  for (const line of lines) if (/"level":"fatal"/.test(line)) notes.violated(`the manager said: ${line.slice(0, 300)}`);
}

async function startOne(fleet: Fleet, task: string, begun: string[]): Promise<number> {
  const beganMs = performance.now();
  begun.push(...(await fleet.startRuns(task, 1)));
  return performance.now() - beganMs;
}

function alive(notes: Notes, who: string, member: Pick<Member, "process"> | undefined): void {
  const { exitCode, signalCode } = member?.process ?? { exitCode: -1, signalCode: null };
  const crashed = exitCode !== null || signalCode !== null;
  notes.count("crashes", crashed ? 1 : 0);
  if (crashed) notes.violated(`${who} ended: ${signalCode ?? exitCode}`);
}

async function poisonWorker(notes: Notes, count: number): Promise<void> {
  await using manager = await HandManager.start("w");
  await using worker = new WorkerProcess("w", manager.port, { MUSTER_LOG_LEVEL: "warn" });
  const agent = worker.start();
  await manager.synced();
  const epoch = manager.hellos[0]?.epoch ?? "";
  const [journal] = epoch.split(".");
  const asOf = { epoch, mono: 1 };
  const sound = [
    { v: 1, term: 1, asOf, items: [{ ...manager.script("poisoned", "exit 99"), ttlMs: 1 }] },
    {
      v: 1,
      term: 1,
      asOf,
      items: [
        { kind: "stop", attempt: "unknown", by: "x", graceSeconds: 1 },
        { kind: "signal", attempt: "unknown", signal: "SIGUSR1" },
      ],
    },
    {
      v: 1,
      term: 1,
      asOf,
      items: [
        { kind: "ack", journal, seq: 0 },
        { kind: "logsAck", attempt: "unknown", stream: "stdout", offset: 1 },
        { kind: "ask", attempts: ["unknown"] },
      ],
    },
    {
      v: 1,
      term: 1,
      asOf,
      items: [
        { kind: "sync", epoch, connection: 99, keep: ["x"], stop: ["y"], ack: { journal, seq: 0 } },
        { kind: "drain", on: false },
      ],
    },
  ];
  const pieces: Poison[] = poison(sound, seed, count).filter(({ payload }) => !isOrder(payload));
  let beside = 0;
  for (const [i, { payload }] of pieces.entries()) {
    await manager.sendRaw(payload);
    if (i % 50 !== 0) continue;
    await manager.send(manager.script(`beside-${beside}`, `exit ${beside % 100}`));
    beside += 1;
  }
  await manager.send({ kind: "drain", on: false });
  await manager.send(manager.script(`beside-${beside}`, `exit ${beside % 100}`));
  for (let i = 0; i <= beside; i += 1) {
    const { end } = await manager.endOf(`beside-${i}`, 60_000);
    // A drain that was spoiled only in its reason is one all the same.
    if (!(end.how === "refused" && /drain/.test(end.why)))
      notes.same(`the end of beside-${i}`, end, { how: "exited", code: i % 100 });
  }
  alive(notes, "the worker", agent);
  notes.figure("sentToWorker", pieces.length);
  const setAside = worker.output.split("\n").filter((line) => line.includes("set aside")).length;
  notes.figure("setAsideByWorker", setAside);
  if (setAside < 20) notes.violated(`the worker told of ${setAside} things that it set aside`);
  if (manager.kinds("poisoned").includes("running")) notes.violated("a start that was poisoned ran");
}

/** What can be read is an order, however odd: a leader may raise the term and acknowledge what it likes. */
function isOrder(payload: Uint8Array): boolean {
  const read = readCommands(payload);
  return read.read === "commands" && (read.unreadable.length === 0 || read.message.term > 1);
}
