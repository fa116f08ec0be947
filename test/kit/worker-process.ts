/** One worker as a process of its own, on a data folder that outlives it. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { sweep } from "./sweep.ts";
import { compileCache } from "./compile-cache.ts";

const root = resolve(import.meta.dirname, "../..");

export interface Agent {
  readonly process: ChildProcess;
  readonly exited: Promise<number | string>;
}

export class WorkerProcess implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "muster-worker-"));
  readonly #env: Readonly<Record<string, string>>;
  readonly #agents = new Set<Agent>();
  #output: string | undefined;

  constructor(worker: string, port: number, env: Readonly<Record<string, string>> = {}) {
    this.#env = {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      ...compileCache,
      HOME: this.folder,
      MUSTER_DATA_DIR: this.folder,
      MUSTER_WORKER_ID: worker,
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${port}`,
      MUSTER_BROKER_PASSWORD: `password of ${worker}`,
      MUSTER_HEARTBEAT_MS: "500",
      MUSTER_WORKER_SLOTS: "50",
      MUSTER_LOG_LEVEL: "debug",
      ...env,
    };
  }

  /** Starts the agent; everything it says is in `output`. `before`: what its command runs under, such as a name space's. */
  start(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}, before: readonly string[] = []): Agent {
    const out = openSync(join(this.folder, "output"), "a");
    const [program = "", ...rest] = [...before, process.execPath, "worker/main.ts", ...args];
    const child = spawn(program, rest, {
      cwd: root,
      env: { ...this.#env, ...env },
      stdio: ["ignore", out, out],
    });
    closeSync(out);
    const exited = new Promise<number | string>((done) => child.once("exit", (code, signal) => done(signal ?? code ?? -1)));
    const agent = { process: child, exited };
    this.#agents.add(agent);
    void exited.then(() => this.#agents.delete(agent));
    return agent;
  }

  /** What its agents have said so far; also after the folder is gone. */
  get output(): string {
    return this.#output ?? readFileSync(join(this.folder, "output"), "utf8");
  }

  /** The folder of an attempt. */
  attemptFolder(attempt: string): string {
    return join(this.folder, "worker", "attempts", attempt);
  }

  /** Ends the agent and everything that it started, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const agents = [...this.#agents];
    for (const agent of agents) agent.process.kill("SIGKILL");
    await Promise.all(agents.map((agent) => agent.exited));
    sweep(this.folder);
    this.#output = this.output;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
