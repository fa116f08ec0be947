/** A real system for tests: a manager process with its broker inside, and workers as processes of their own. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { addClient, addToken } from "../../broker/credentials.ts";
import { compileCache } from "./compile-cache.ts";
import { freePorts } from "./ports.ts";
import { sweep } from "./sweep.ts";
import { until } from "./until.ts";

const root = resolve(import.meta.dirname, "../..");

type Env = Readonly<Record<string, string>>;

/** One process of the system; its output is in `logFile`, which a failing test prints. */
export interface Member {
  readonly process: ChildProcess;
  readonly logFile: string;
  /** Settles with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
}

export class Fleet implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "muster-fleet-"));
  readonly witness = join(this.folder, "witness");
  readonly token: string;
  readonly #httpPort: number;
  readonly #brokerPort: number;
  readonly #env: Env;
  readonly #members = new Set<Member>();
  manager: Member | undefined;

  private constructor(ports: readonly number[], env: Env) {
    [this.#httpPort, this.#brokerPort] = ports as [number, number];
    this.#env = env;
    this.token = addToken(this.#credentials, { name: "tester" });
  }

  /** A broker of its own beside the manager; undefined: the manager's own. */
  broker: Member | undefined;
  #managerPassword = "";

  /** A manager with a broker in a process of its own. */
  static async startApart(env: Env = {}): Promise<Fleet> {
    const fleet = new Fleet(await freePorts(2), { MUSTER_HEARTBEAT_MS: "2000", ...env });
    await fleet.startBroker();
    await fleet.startManager();
    return fleet;
  }

  async startBroker(): Promise<void> {
    const broker = this.#spawn("broker", ["broker/main.ts"], {
      MUSTER_DATA_DIR: join(this.folder, "manager"),
      MUSTER_BROKER_PORT: String(this.#brokerPort),
    });
    this.broker = broker;
    await this.#whileAlive(broker, "the broker to listen", () => Promise.resolve(this.logOf(broker).includes("broker is up")));
    this.#managerPassword ||= /MUSTER_BROKER_PASSWORD=(\S+)/.exec(this.logOf(broker))?.[1] ?? "";
  }

  logOf(member: Member): string {
    return readFileSync(member.logFile, "utf8");
  }

  /** A manager that is ready; `env` goes to it and to every worker. */
  static async start(env: Env = {}): Promise<Fleet> {
    const fleet = new Fleet(await freePorts(2), { MUSTER_HEARTBEAT_MS: "2000", ...env });
    await fleet.startManager();
    return fleet;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#httpPort}`;
  }

  get brokerPort(): number {
    return this.#brokerPort;
  }

  get #credentials(): string {
    return join(this.folder, "manager", "credentials.json");
  }

  async startManager(env: Env = {}): Promise<void> {
    const settings = {
      MUSTER_DATA_DIR: join(this.folder, "manager"),
      MUSTER_HTTP_PORT: String(this.#httpPort),
      ...(this.broker
        ? { MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.#brokerPort}`, MUSTER_BROKER_PASSWORD: this.#managerPassword }
        : { MUSTER_BROKER_PORT: String(this.#brokerPort) }),
    };
    const manager = this.#spawn("manager", ["manager/main.ts"], { ...this.#env, ...settings, ...env });
    this.manager = manager;
    await this.#whileAlive(manager, "the manager to be ready", async () => {
      const response = await fetch(`${this.url}/readyz`).catch(() => undefined);
      return response?.ok === true;
    });
  }

  /** Starts a worker and waits until it is online. Its password is made at its first start. */
  async startWorker(id: string, env: Env = {}): Promise<Member> {
    const member = this.spawnWorker(id, env);
    await this.#whileAlive(member, `worker ${id} to be online`, async () => {
      const worker = await this.call("GET", `/workers/${id}`);
      return (
        worker.status === 200 &&
        worker.body.state !== "neverSeen" &&
        worker.body.state !== "unreachable" &&
        worker.body.state !== "lost"
      );
    });
    return member;
  }

  readonly #passwords = new Map<string, string>();

  spawnWorker(id: string, env: Env = {}): Member {
    let password = this.#passwords.get(id);
    if (password === undefined) {
      password = addClient(this.#credentials, { username: id, pool: env["MUSTER_POOL"] ?? "default", role: "worker" });
      this.#passwords.set(id, password);
    }
    const settings = {
      MUSTER_DATA_DIR: join(this.folder, `worker-${id}`),
      MUSTER_WORKER_ID: id,
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.#brokerPort}`,
      MUSTER_BROKER_PASSWORD: password,
      MUSTER_MANAGER_URL: this.url,
    };
    return this.#spawn(`worker-${id}`, ["worker/main.ts"], { ...this.#env, ...settings, ...env });
  }

  /** One API call with the token; the body is parsed when it is JSON. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Env = {},
  ): Promise<{ status: number; body: any; headers: Headers }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, body: isJson && text !== "" ? JSON.parse(text) : text, headers: response.headers };
  }

  /** Creates a task; throws with the problem when it cannot be. */
  async task(definition: Record<string, unknown>): Promise<string> {
    const made = await this.call("POST", "/tasks", definition);
    if (made.status !== 201) throw new Error(`POST /tasks: ${made.status} ${JSON.stringify(made.body)}`);
    return made.body.id as string;
  }

  /** Starts `count` runs of a task in one request and returns their ids. */
  async startRuns(taskId: string, count: number, more: Record<string, unknown> = {}): Promise<string[]> {
    const made = await this.call("POST", "/runs", { items: Array.from({ length: count }, () => ({ taskId, ...more })) });
    if (made.status !== 200) throw new Error(`POST /runs: ${made.status} ${JSON.stringify(made.body)}`);
    return made.body.items.map((item: { run?: { id: string }; problem?: unknown }) => {
      if (!item.run) throw new Error(`a start was refused: ${JSON.stringify(item.problem)}`);
      return item.run.id;
    });
  }

  async run(id: string): Promise<any> {
    return (await this.call("GET", `/runs/${id}`)).body;
  }

  /** Waits until the run is terminal and returns it. */
  async ended(id: string, withinMs = 60_000): Promise<any> {
    return await until(
      `run ${id} to be terminal`,
      async () => {
        const run = (await this.call("GET", `/runs/${id}?waitSeconds=5`)).body;
        return run.endedAt ? run : undefined;
      },
      withinMs,
    );
  }

  /** Lines of the witness file, in the order in which the tasks appended them. */
  witnessLines(): string[] {
    try {
      return readFileSync(this.witness, "utf8")
        .split("\n")
        .filter((line) => line !== "");
    } catch {
      return [];
    }
  }

  async kill(member: Member, signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    member.process.kill(signal);
    return await member.exited;
  }

  #spawn(name: string, args: readonly string[], env: Env): Member {
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, "a");
    const child = spawn(process.execPath, args as string[], {
      cwd: root,
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...compileCache, ...env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const exited = new Promise<number | string>((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code ?? -1)));
    const member = { process: child, logFile, exited };
    this.#members.add(member);
    void exited.then(() => this.#members.delete(member));
    return member;
  }

  /** Fails at once, with the end of its log, when the process that is waited for dies. */
  async #whileAlive(member: Member, what: string, look: () => Promise<boolean>): Promise<void> {
    const dead = member.exited.then((how) => {
      throw new Error(`waiting for ${what}, but it ended (${how}):\n${readFileSync(member.logFile, "utf8").slice(-3_000)}`);
    });
    dead.catch(() => undefined);
    await Promise.race([until(what, look, 30_000), dead]);
  }

  /** Ends everything, the tasks' processes too, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const members = [...this.#members];
    for (const member of members) member.process.kill("SIGKILL");
    await Promise.all(members.map((member) => member.exited));
    sweep(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
