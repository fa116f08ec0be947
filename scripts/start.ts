/**
 * `npm start`: the whole system on one host. A parent of two children: a manager with its broker and database inside, and
 * one worker. What they log is in `<data>/system`; warnings and worse are shown here as well.
 */
import { join } from "node:path";
import { pause } from "../schema/kit/backoff.ts";
import { processClock } from "../schema/kit/clock.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { timing } from "../schema/limits.ts";
import { startLimits } from "./start/limits.ts";
import { readStateFile } from "../worker/state-file.ts";
import { readStartConfig, readVersion, type StartConfig } from "./config.ts";
import { openChildLog, type ChildLog } from "./start/child-log.ts";
import { Child } from "./start/child.ts";
import { prepareCredentials } from "./start/credentials.ts";
import { welcome } from "./start/welcome.ts";

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Looks until it holds (true), the child has ended, the time is up, or somebody wants to leave (false). */
async function untilReady(child: Child, leaving: AbortSignal, holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = processClock.now().mono + startLimits.readyMs;
  let gone = false;
  void child.ended.then(() => (gone = true));
  while (!gone && !leaving.aborted && processClock.now().mono < deadline) {
    if (await holds()) return true;
    await pause(50, leaving);
  }
  return false;
}

async function isReady(apiUrl: string): Promise<boolean> {
  try {
    const response = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Nobody listens yet; the manager's own end says when that will not change.
    return false;
  }
}

/** Whether this very worker, not an earlier one, has been taken by the manager. */
function isInTouch(config: StartConfig, sinceWall: number): boolean {
  const state = readStateFile(join(config.dataDir, "worker"));
  return state !== undefined && Date.parse(state.writtenAt) >= sinceWall && state.view.synced;
}

class System {
  readonly #config: StartConfig;
  readonly #logs: ChildLog[] = [];
  readonly #leaving = new AbortController();
  #manager: Child | undefined;
  #worker: Child | undefined;

  constructor(config: StartConfig) {
    this.#config = config;
  }

  /** Brings everything up and returns when it has all ended; the exit code. */
  async run(): Promise<number> {
    const config = this.#config;
    const { token, passwordFile } = await prepareCredentials(config, say);
    const env = { ...config.childEnv, MUSTER_DATA_DIR: config.dataDir };
    // It speaks when it listens. What it says is part of the welcome below.
    let listens = false;
    const manager = this.#start("manager", managerEnv(env), (line) => {
      listens = true;
      if (this.#leaving.signal.aborted) say(line);
    });
    this.#manager = manager;
    // Asked before it has spoken, the address could be answered by another Muster, which holds the port that this one wants.
    const managerUp = await untilReady(manager, this.#leaving.signal, () => listens && isReady(config.apiUrl));
    if (!managerUp) return await this.#giveUp("manager");
    manager.markReady();
    const sinceWall = processClock.now().wall;
    const worker = this.#start("worker", { ...env, ...workerEnv(config, passwordFile) }, say);
    this.#worker = worker;
    const workerUp = await untilReady(worker, this.#leaving.signal, () => isInTouch(config, sinceWall));
    if (!workerUp) return await this.#giveUp("worker");
    worker.markReady();
    say(welcome({ config, version: readVersion(), token }));
    const asTold = await Promise.race([manager.ended, worker.ended]);
    await this.#end();
    return asTold ? 0 : 1;
  }

  /** The first signal lets the worker leave and then ends the manager; a later one reaches the worker, which then stops its processes. */
  signal(signal: NodeJS.Signals): void {
    this.#leaving.abort();
    if (this.#worker) this.#worker.leave(signal);
    else this.#manager?.leave("SIGTERM");
  }

  #start(name: "manager" | "worker", env: Readonly<Record<string, string>>, onLine: (line: string) => void): Child {
    const log = openChildLog(join(this.#config.dataDir, "system"), name, say);
    this.#logs.push(log);
    return new Child({ name, env, log, onLine, say });
  }

  async #giveUp(name: "manager" | "worker"): Promise<number> {
    const asTold = this.#leaving.signal.aborted;
    if (!asTold)
      say(`muster start: the ${name} did not come up; its log is ${join(this.#config.dataDir, "system", `${name}.log`)}`);
    await this.#end();
    return asTold ? 0 : 1;
  }

  async #end(): Promise<void> {
    this.#leaving.abort();
    // A worker that was told already would take a second signal for the wish to stop its processes.
    if (this.#worker?.isLeaving === false) this.#worker.leave("SIGTERM");
    await this.#worker?.ended;
    this.#manager?.leave("SIGTERM");
    await this.#manager?.ended;
    for (const log of this.#logs) log.close();
  }
}

/** The authority by which the worker verifies the broker is nothing to a manager whose broker is its own. */
function managerEnv(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name !== "MUSTER_BROKER_CA"));
}

/** The worker reads the same environment as the manager; what is only about the manager's side is taken out or set. */
function workerEnv(config: StartConfig, passwordFile: string): Record<string, string> {
  return {
    MUSTER_WORKER_ID: config.workerId,
    MUSTER_BROKER_URL: config.brokerUrl,
    MUSTER_BROKER_PASSWORD_FILE: passwordFile,
    MUSTER_MANAGER_URL: config.apiUrl,
  };
}

const config = configOrExit(() => readStartConfig());
const system = new System(config);
const lastAt: Partial<Record<string, number>> = {};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // A terminal sends Ctrl-C to the group and npm passes it on: the same press.
    const at = processClock.now().mono;
    if (at - (lastAt[signal] ?? Number.NEGATIVE_INFINITY) < timing.sameSignalMs) return;
    lastAt[signal] = at;
    system.signal(signal === "SIGHUP" ? "SIGTERM" : signal);
  });
}
try {
  process.exitCode = await system.run();
} catch (error) {
  process.stderr.write(`muster start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
