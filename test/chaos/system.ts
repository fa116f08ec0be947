/**
 * A whole system of real processes, with a proxy of our own on every edge and a history of all that can be seen from outside:
 *
 *     await using system = await System.start({ managers: ["m1"], workers: ["a"] });
 *     const taskId = await system.task({ name: "t", script: 'exit "$PARAM_code"', params: { code: "0" } });
 *     const runId = await system.client.startSurely({ taskId, tag: "one", key: "one" });
 *     await system.kill("broker"); await system.restart("broker");
 *     system.edges.workerBroker.get("a")?.cut();
 *     await system.ended(runId);
 *     const { violations } = await system.judge();
 *
 * One mariadbd, one mosquitto, managers and workers; times are small (heartbeats of 500 ms, a lease that may be taken after 800).
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrokerServer } from "../kit/broker-server.ts";
import { Managers } from "../kit/managers.ts";
import { MariadbServer, mariadbMissing } from "../kit/mariadb.ts";
import type { Env, Member } from "../kit/members.ts";
import { mosquittoMissing, startMosquitto, type MosquittoPlan } from "../kit/mosquitto.ts";
import { pidsThatMention } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";
import { checkHistory, type Judgement } from "./checker.ts";
import { Client } from "./client.ts";
import { Edges } from "./edges.ts";
import { History, readHistory, readWitnessLine, type Policy, type ReadRun } from "./history.ts";
import { keptPrefix } from "./own-folder.ts";
import { overhear, type Overhearing } from "./overhear.ts";
import { runOf, witnessedScript } from "./witness.ts";

export interface SystemPlan {
  readonly managers: readonly string[];
  readonly workers: readonly string[];
  readonly managerEnv?: Env;
  readonly workerEnv?: Env;
  /** For one manager or worker, by its name, beside what is for all of them. */
  readonly each?: Readonly<Record<string, Env>>;
  readonly broker?: Omit<MosquittoPlan, "workers">;
  /** Workers that the broker knows and that are not started here. */
  readonly users?: readonly string[];
  /** Managers and workers look for failpoints to stop at, in the folders that `failpoints` names. */
  readonly failpoints?: boolean;
}

/** What can be killed: a manager or a worker by its name, `broker` or `database`. */
export type Victim = string;

/** A task of a script for sh whose every process writes itself down: `$witness` in it does not exist, its exit code is written for it. */
export interface WitnessedTask {
  readonly name: string;
  /** Runs in a subshell; its exit code is that of the run. */
  readonly script: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly policy?: Partial<Omit<Policy, "taskId">>;
  /** More of the task's definition. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const quick: Env = { MUSTER_HEARTBEAT_MS: "500", MUSTER_LEASE_RENEW_MS: "200", MUSTER_LEASE_STILL_MS: "800" };
const terminal: ReadonlySet<string> = new Set(["succeeded", "failed", "timedOut", "stopped", "lost"]);

/** Why no such system can be started here; undefined when it can. */
export function systemMissing(): string | undefined {
  return mariadbMissing() ?? mosquittoMissing;
}

export class System implements AsyncDisposable {
  readonly database: MariadbServer;
  readonly broker: BrokerServer;
  readonly managers: Managers;
  readonly edges: Edges;
  readonly history: History;
  readonly client: Client;
  readonly #plan: SystemPlan;
  readonly #workers = new Map<string, Member>();
  readonly #away = new Set<string>();
  readonly #overhearing: Overhearing;
  readonly #stops: string;
  #asked = 0;

  private constructor(parts: Pick<System, "database" | "broker" | "managers" | "edges">, plan: SystemPlan, stops: string) {
    this.#stops = stops;
    this.database = parts.database;
    this.broker = parts.broker;
    this.managers = parts.managers;
    this.edges = parts.edges;
    this.#plan = plan;
    this.history = new History(join(this.folder, "history.jsonl"));
    this.client = new Client({ history: this.history, token: this.managers.token, address: () => this.#address() });
    this.#overhearing = overhear(this.broker, this.history);
  }

  /** All of it, up; every worker is online. */
  static async start(plan: SystemPlan): Promise<System> {
    await using parts = new AsyncDisposableStack();
    const database = parts.use(await MariadbServer.start());
    const broker = parts.use(await startMosquitto({ ...plan.broker, workers: [...plan.workers, ...(plan.users ?? [])] }));
    const edges = parts.use(new Edges());
    const url = new URL(await database.database());
    const each: Record<string, Env> = {};
    const stops = mkdtempSync(join(tmpdir(), "muster-failpoints-"));
    parts.defer(() => rmSync(stops, { recursive: true, force: true }));
    for (const kind of ["managers", "workers"]) mkdirSync(join(stops, kind));
    const failpoint = (kind: string): Env => (plan.failpoints ? { MUSTER_FAILPOINT: join(stops, kind) } : {});
    for (const name of plan.managers) {
      const toDatabase = await edges.make("managerDatabase", name, database.port);
      const toBroker = await edges.make("managerBroker", name, broker.port);
      url.port = String(toDatabase.port);
      each[name] = {
        ...failpoint("managers"),
        ...plan.managerEnv,
        ...plan.each?.[name],
        MUSTER_DATABASE_URL: url.href,
        MUSTER_BROKER_URL: `mqtt://127.0.0.1:${toBroker.port}`,
      };
    }
    for (const id of plan.workers) await edges.make("workerBroker", id, broker.port);
    const on = { server: database, broker, databaseUrl: url.href, env: quick };
    const managers = parts.use(await Managers.start(on, plan.managers, each));
    for (const name of plan.managers) await edges.make("clientManager", name, Number(new URL(managers.at(name).url).port));
    const workerEnv = { ...failpoint("workers"), ...plan.workerEnv };
    const system = new System({ database, broker, managers, edges }, { ...plan, workerEnv }, stops);
    for (const [name, env] of Object.entries(each)) system.#env.set(name, env);
    parts.defer(() => system.#close());
    await Promise.all(plan.workers.map((id) => system.startWorker(id)));
    system.#parts = parts.move();
    return system;
  }

  readonly #env = new Map<string, Env>();
  #parts = new AsyncDisposableStack();

  get folder(): string {
    return this.managers.folder;
  }

  /** Where the managers, or the workers, look for failpoints. */
  failpoints(kind: "managers" | "workers"): string {
    return join(this.#stops, kind);
  }

  /** The manager or worker that has this process id. */
  nameOf(pid: number | undefined): string | undefined {
    const running = this.#plan.managers.filter((name) => !this.#away.has(name));
    const members = [...this.#workers, ...running.map((name) => [name, this.managers.member(name)] as const)];
    return members.find(([, member]) => member.process.pid === pid)?.[0];
  }

  /** Where processes write themselves down. */
  get witness(): string {
    return this.managers.witness;
  }

  /** Makes a task whose processes are witnessed, and notes what its runs may do. */
  async task({ name, script, params = {}, policy = {}, more = {} }: WitnessedTask): Promise<string> {
    const taskId = await this.client.task({
      name,
      params,
      run: { driver: "script", interpreter: "sh", script: witnessedScript(this.witness, script) },
      ...more,
    });
    this.history.note({ kind: "policy", policy: { taskId, mostStarts: 1, mayOverlap: false, mayBeLost: false, ...policy } });
    return taskId;
  }

  /** Starts the worker and waits until the API says that it is online. */
  async startWorker(id: string, env: Env = {}): Promise<void> {
    const member = this.spawnWorker(id, env);
    await until(
      `worker ${id} to be online`,
      async () => {
        if (member.process.exitCode !== null) throw new Error(`worker ${id} ended: ${this.logOf(id).slice(-2_000)}`);
        const worker = await this.client.call("GET", `/workers/${id}`).catch(() => undefined);
        return worker?.status === 200 && worker.body.state === "online";
      },
      60_000,
    );
  }

  spawnWorker(id: string, env: Env = {}): Member {
    const edge = this.edges.workerBroker.get(id);
    if (!edge) throw new Error(`the system was not planned with a worker ${id}`);
    mkdirSync(join(this.folder, `worker-${id}`), { recursive: true, mode: 0o700 });
    const member = this.managers.spawnWorker(id, {
      ...this.#plan.workerEnv,
      ...this.#plan.each?.[id],
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${edge.port}`,
      ...env,
    });
    this.#workers.set(id, member);
    return member;
  }

  /** kill -9. Resolves when it is gone. */
  async kill(victim: Victim): Promise<void> {
    this.history.note({ kind: "fault", what: `kill -9 of ${victim}` });
    this.#away.add(victim);
    const worker = this.#workers.get(victim);
    if (victim === "broker") await this.broker.kill();
    else if (victim === "database") await this.database.kill();
    else if (worker) await this.managers.killMember(worker);
    else await this.managers.kill(victim);
  }

  /** Starts again what was killed, on the same port and folder; resolves when it answers, which is not yet when all is well. */
  async restart(victim: Victim): Promise<void> {
    if (victim === "broker") await this.broker.start();
    else if (victim === "database") await this.database.restart();
    else if (this.#workers.has(victim)) this.spawnWorker(victim);
    else await this.managers.startManager(victim, this.#env.get(victim));
    this.#away.delete(victim);
    this.history.note({ kind: "fault", what: `start of ${victim}` });
  }

  /** SIGSTOP: its sockets stay open and nobody answers. */
  pause(victim: Victim): void {
    this.history.note({ kind: "fault", what: `pause of ${victim}` });
    process.kill(this.#pid(victim), "SIGSTOP");
  }

  resume(victim: Victim): void {
    process.kill(this.#pid(victim), "SIGCONT");
    this.history.note({ kind: "fault", what: `resume of ${victim}` });
  }

  #pid(victim: Victim): number {
    if (victim === "database") return this.database.pid;
    if (victim === "broker") return this.broker.pid;
    return (this.#workers.get(victim) ?? this.managers.member(victim)).process.pid ?? 0;
  }

  /** All that was done to the system has been undone; from now on nothing may be stuck for long. */
  healed(): void {
    this.history.note({ kind: "healed" });
  }

  /** The run once it is terminal; undefined when it is not within so many milliseconds. */
  async ended(runId: string, withinMs = 60_000): Promise<ReadRun | undefined> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const run = await this.client.read(runId, 2);
      if (run && terminal.has(run.state)) return run;
      if (performance.now() > deadline) return undefined;
    }
  }

  /** What a manager or worker has said. */
  logOf(name: string): string {
    const worker = this.#workers.get(name);
    return worker ? readFileSync(worker.logFile, "utf8") : this.managers.log(name);
  }

  /** Writes down the last word on every run, the witness's lines and what is left alive; then judges the whole history. */
  async judge(): Promise<Judgement> {
    const runs = await this.client.readAll();
    const over = new Set(runs.filter(({ state }) => terminal.has(state)).map(({ id }) => id));
    for (const text of this.managers.witnessLines()) {
      const line = readWitnessLine(text);
      if (line) this.history.note({ kind: "witness", line });
    }
    for (const pid of pidsThatMention(`MUSTER_RUN_ID=`)) {
      const runId = runOf(pid, this.folder);
      if (runId !== undefined && over.has(runId)) this.history.note({ kind: "leftover", runId, pid });
    }
    return checkHistory(readHistory(this.history.file));
  }

  /** Copies the history and what every process said to a folder that stays; its path. */
  keep(): string {
    const kept = mkdtempSync(join(tmpdir(), keptPrefix));
    for (const file of readdirSync(this.folder))
      if (/\.(log|jsonl)$/.test(file)) copyFileSync(join(this.folder, file), join(kept, file));
    return kept;
  }

  #address(): string {
    const up = this.#plan.managers.filter((name) => !this.#away.has(name));
    const name = (up.length > 0 ? up : this.#plan.managers)[this.#asked++ % Math.max(1, up.length)] ?? "";
    return `http://127.0.0.1:${this.edges.clientManager.get(name)?.port}`;
  }

  async #close(): Promise<void> {
    this.edges.heal();
    await this.#overhearing.close();
    this.history[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}
