/**
 * The manager's own path in one process, without sockets: API → engine → core → store → outbox → (a simulated worker) → inbox.
 * For profiles: `node --cpu-prof bench/manager-path.ts --runs 50000 --bulk 100`. Figures of the whole system are `npm run bench`'s.
 *
 *   --runs N      runs to make (default 20000), 3 --rounds  --bulk N    runs in one request; 1: single starts (default 100)
 *   --clients N   requests at once (default 4)          --workers N simulated workers (default 10)
 *   --store URL   sqlite: (a new file), memory:, mysql://…   --via api|engine  where requests enter (default api)
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Connection, ConnectOptions, Connector } from "../broker/broker.ts";
import { addToken, openCredentials } from "../broker/credentials.ts";
import { makeApp } from "../manager/api/app.ts";
import leastLoaded from "../manager/control/placement/least-loaded.ts";
import { PoolEngine } from "../manager/engine/engine.ts";
import { makePlane } from "../manager/engine/plane.ts";
import { EventTail } from "../manager/engine/tail.ts";
import { Link } from "../manager/link/link.ts";
import { LogIntake } from "../manager/link/log-intake.ts";
import { Outbox } from "../manager/link/outbox.ts";
import { loadStore } from "../manager/store/load.ts";
import { processClock } from "../schema/kit/clock.ts";
import { makeLog } from "../schema/kit/log.ts";
import { shortId, systemDice } from "../schema/kit/random.ts";
import { managerLimits, timing } from "../schema/limits.ts";
import type { Commands, StartItem } from "../schema/messages.ts";
import { newcomer } from "../test/kit/hello.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "20000" },
    bulk: { type: "string", default: "100" },
    clients: { type: "string", default: "4" },
    workers: { type: "string", default: "10" },
    store: { type: "string", default: "sqlite:" },
    via: { type: "string", default: "api" },
    rounds: { type: "string", default: "3" },
    level: { type: "string", default: "info" },
  },
});
const runs = Number(values.runs);
const bulk = Number(values.bulk);
const prefix = "muster";

const facts = {
  os: "linux",
  osVersion: "6.1",
  arch: "x64",
  hostname: "host",
  cpus: 4,
  memoryMb: 8_000,
  interpreters: { sh: "1" },
  drivers: ["exec", "script"],
  agentVersion: "1",
  nodeVersion: "24",
  bootId: "b",
};

/** Answers every start at once with accepted and end, as a real worker's journal would number them. */
class SimulatedWorker {
  readonly #id: string;
  readonly #epoch: string;
  readonly #journal: string;
  readonly #deliver: (topic: string, payload: Uint8Array) => void;
  #seq = 0;
  #items: object[] = [];

  constructor(name: string, deliver: (topic: string, payload: Uint8Array) => void) {
    this.#id = name;
    this.#journal = shortId();
    this.#epoch = `${this.#journal}.1.${shortId()}`;
    this.#deliver = deliver;
  }

  #head(): object {
    return { v: 1, epoch: this.#epoch, connection: 1, mono: Math.round(performance.now()) + 1_000_000 };
  }
  #up(kind: string, body: object): void {
    this.#deliver(`${prefix}/v1/default/${this.#id}/up/${kind}`, Buffer.from(JSON.stringify(body)));
  }

  hello(): void {
    this.#up("hello", {
      ...this.#head(),
      facts,
      labels: { zone: "a" },
      capacity: { slots: 200, memoryMb: 8_000, cpus: 4 },
      ...newcomer,
    });
  }

  heartbeat(): void {
    this.#up("heartbeat", {
      ...this.#head(),
      free: { slots: 200, memoryMb: 8_000, cpus: 4 },
      load: { cpu: 0.1, memoryMb: 100 },
      settingsVersion: 0,
      draining: false,
      spoolBytes: 0,
      live: { count: 0, hash: "0".repeat(16) },
    });
  }

  take(payload: Uint8Array): void {
    const message = JSON.parse(Buffer.from(payload).toString()) as Commands;
    for (const item of message.items) if (item.kind === "start") this.#start(item);
  }

  #start(item: StartItem): void {
    const at = Date.now();
    const of = { attempt: item.attempt, start: item.number, at };
    if (this.#items.length === 0) setImmediate(() => this.#flush());
    this.#items.push({ seq: (this.#seq += 1), kind: "accepted", ...of });
    this.#items.push({ seq: (this.#seq += 1), kind: "end", ...of, startedAt: at, pid: 4_711, end: { how: "exited", code: 0 } });
  }

  #flush(): void {
    const items = this.#items;
    this.#items = [];
    for (let from = 0; from < items.length; from += 400)
      this.#up("reports", { ...this.#head(), journal: this.#journal, items: items.slice(from, from + 400) });
  }
}

const folder = mkdtempSync(join(tmpdir(), "muster-path-"));
const log = makeLog({ name: "manager", level: values.level });
const openStore = await loadStore();
const { store, logs } = await openStore(values.store === "sqlite:" ? `sqlite:${folder}/muster.db` : values.store, {
  dataDir: folder,
  log,
});
let take: ConnectOptions["take"] = () => undefined;
const deliver = (topic: string, payload: Uint8Array): void => take({ topic, payload, retained: false });
const workers = new Map(
  Array.from({ length: Number(values.workers) }, (_, n) => [`worker-${n}`, new SimulatedWorker(`worker-${n}`, deliver)]),
);
const connection: Connection = {
  closed: new Promise(() => undefined),
  publish: async (topic, payload) => {
    const name = topic.split("/").at(-3) ?? "";
    setImmediate(() => workers.get(name)?.take(payload));
  },
  subscribe: async () => undefined,
  close: async () => undefined,
};
const connector: Connector = {
  connect: async (options) => {
    take = options.take;
    return connection;
  },
};

const tail = new EventTail({ store, termOf: () => 1, newestOf: () => undefined, alone: true, clock: processClock, log });
const outbox = new Outbox(prefix, () => undefined);
const engine = new PoolEngine({
  store,
  clock: processClock,
  dice: systemDice,
  log,
  holder: "bench",
  options: {
    pool: "default",
    timing: { ...timing },
    limits: {
      queueWindow: managerLimits.queueWindow,
      waitingRuns: managerLimits.waitingRuns,
      prefetch: managerLimits.prefetch,
      taskCache: managerLimits.taskCache,
      logStreamBytes: 1_000_000,
    },
    placement: leastLoaded(),
    sign: () => "signature",
  },
  timing: { leaseRenewMs: timing.leaseRenewMs, leaseStillMs: timing.leaseStillMs, tickMs: 1_000, answerWithinMs: 60_000 },
  send: (workerId, term, command) => outbox.send({ pool: "default", workerId, term, asOf: command.asOf, items: command.items }),
  onEvents: (events) => tail.publish(events),
  onLead: () => link.lead("default"),
});
const engines = new Map([["default", engine]]);
const link = new Link({
  connector,
  clientId: "manager",
  prefix,
  engines,
  outbox,
  log,
  intake: new LogIntake({ logs, store, log, streamBytes: 1_000_000, acknowledge: () => undefined }),
  random: () => 0.5,
});
const plane = makePlane({ engines, store, clock: processClock, wire: () => link.state, warnings: [] }, tail);
const credentialsFile = join(folder, "credentials.json");
const token = addToken(credentialsFile, { name: "bench" });
const app = makeApp({
  metrics: { text: async (contentType) => ({ contentType, body: "" }) },
  plane,
  store,
  logs,
  credentials: openCredentials(credentialsFile),
  clock: processClock,
  dice: systemDice,
  log,
  version: "0",
  publicUrl: null,
  limits: { requestsPerSecondPerToken: 1e9, requestBurstPerToken: 1e9 },
});

async function call(method: string, path: string, body: object): Promise<unknown> {
  const answer = await app.fetch(
    new Request(`http://manager${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}

async function startSome(taskId: string): Promise<void> {
  if (values.via === "engine") {
    const items = Array.from({ length: bulk }, () => {
      const runId = systemDice.id();
      return {
        taskId,
        runId,
        mayExist: false,
        params: { city: "Ostrava" },
        workerId: null,
        labels: {},
        idempotencyKey: null,
        bodyHash: "",
        trace: `00-${"0".repeat(32)}-${"0".repeat(16)}-01`,
      };
    });
    await engine.ask({ kind: "startRuns", items, by: "bench", byReason: null });
    return;
  }
  const params = { city: "Ostrava" };
  if (bulk === 1) await call("POST", `/tasks/${taskId}/start`, { params });
  else await call("POST", "/runs", { items: Array.from({ length: bulk }, () => ({ taskId, params })) });
}

/** One round: all starts, until the last run has ended. */
async function round(taskId: string): Promise<{ readonly wallMs: number; readonly cpuUs: number }> {
  let left = Math.ceil(runs / bulk);
  let ended = 0;
  const all = Promise.withResolvers<undefined>();
  const stop = tail.subscribe((events) => {
    for (const event of events) if (event.kind === "runEnded") ended += 1;
    if (ended >= Math.ceil(runs / bulk) * bulk) all.resolve(undefined);
  });
  const begin = performance.now();
  const cpu = process.cpuUsage();
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await startSome(taskId);
    }
  };
  await Promise.all([...Array.from({ length: Number(values.clients) }, client), all.promise]);
  const { user, system } = process.cpuUsage(cpu);
  stop();
  return { wallMs: performance.now() - begin, cpuUs: user + system };
}

engine.start();
link.start();
while (!engine.lead || !link.state.up) await new Promise((resolve) => setTimeout(resolve, 5));
for (const worker of workers.values()) worker.hello();
const beats = setInterval(() => {
  for (const worker of workers.values()) worker.heartbeat();
}, 2_000);
const task = (await call("POST", "/tasks", {
  name: "noop",
  run: { driver: "exec", program: "/bin/true" },
  params: { city: "Brno" },
})) as { id: string };
const figures: { readonly wallMs: number; readonly cpuUs: number }[] = [];
for (let n = 0; n <= Number(values.rounds); n += 1) {
  const figure = await round(task.id);
  if (n > 0) figures.push(figure);
  const speed = `${Math.round((runs / figure.wallMs) * 1_000)} runs/s, ${(figure.cpuUs / runs).toFixed(1)} µs CPU per run`;
  console.log(`${n === 0 ? "warm-up" : `round ${n}`}: ${speed}`);
}
const cpu = figures.map((each) => each.cpuUs / runs).toSorted((a, b) => a - b);
const shown = `${cpu[0]?.toFixed(1)}, median ${cpu[Math.floor(cpu.length / 2)]?.toFixed(1)}`;
console.log(`least ${shown} µs CPU per run (${values.via}, bulk ${bulk}, ${values.store})`);
if (link.figures.overflow + outbox.figures.lost > 0) throw new Error("messages were lost: the figures mean nothing");
clearInterval(beats);
await engine.stop();
await store[Symbol.asyncDispose]();
rmSync(folder, { recursive: true });
process.exit(0);
