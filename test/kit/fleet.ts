/** A real system for tests: a manager process with its broker inside, and workers as processes of their own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addToken } from "../../broker/credentials.ts";
import { withClient } from "../../broker/credentials-content.ts";
import { openCredentialBook } from "../../manager/store/credentials.ts";
import { ApiClient, type Called } from "./api-client.ts";
import { Members, type Env, type Member } from "./members.ts";
import { freePorts } from "./ports.ts";
import { sweep } from "./sweep.ts";

export type { Member } from "./members.ts";

export class Fleet implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "muster-fleet-"));
  readonly witness = join(this.folder, "witness");
  readonly token: string;
  readonly #httpPort: number;
  readonly #brokerPort: number;
  readonly #env: Env;
  readonly #members = new Members(this.folder);
  readonly #client: ApiClient;
  manager: Member | undefined;

  private constructor(ports: readonly number[], env: Env) {
    [this.#httpPort, this.#brokerPort] = ports as [number, number];
    this.#env = env;
    this.token = addToken(this.#credentials, { name: "tester" });
    this.#client = new ApiClient(`http://127.0.0.1:${this.#httpPort}`, this.token);
  }

  /** A broker of its own beside the manager; undefined: the manager's own. */
  broker: Member | undefined;
  #managerPassword = "";

  /** A manager with a broker in a process of its own. */
  static async startApart(env: Env = {}): Promise<Fleet> {
    const fleet = new Fleet(await freePorts(2), env);
    await fleet.startBroker();
    await fleet.startManager();
    return fleet;
  }

  async startBroker(): Promise<void> {
    const broker = this.#members.spawn("broker", ["broker/main.ts"], {
      MUSTER_DATA_DIR: join(this.folder, "manager"),
      MUSTER_BROKER_PORT: String(this.#brokerPort),
    });
    this.broker = broker;
    await this.#members.whileAlive(broker, "the broker to listen", () =>
      Promise.resolve(this.logOf(broker).includes("broker is up")),
    );
    this.#managerPassword ||= /MUSTER_BROKER_PASSWORD=(\S+)/.exec(this.logOf(broker))?.[1] ?? "";
  }

  logOf(member: Member): string {
    return this.#members.logOf(member);
  }

  /** A manager that is ready; `env` goes to it and to every worker. */
  static async start(env: Env = {}): Promise<Fleet> {
    const fleet = new Fleet(await freePorts(2), env);
    await fleet.startManager();
    return fleet;
  }

  get url(): string {
    return this.#client.url;
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
    const manager = this.#members.spawn("manager", ["manager/main.ts"], { ...this.#env, ...settings, ...env });
    this.manager = manager;
    await this.#members.whileAlive(manager, "the manager to be ready", async () => {
      const response = await fetch(`${this.url}/readyz`).catch(() => undefined);
      return response?.ok === true;
    });
  }

  /** Starts a worker and waits until it is online. Its password is made at its first start. `before`: what its command runs under. */
  async startWorker(id: string, env: Env = {}, before: readonly string[] = []): Promise<Member> {
    if (!this.#passwords.has(id)) this.#passwords.set(id, await this.#letIn(id, env["MUSTER_POOL"] ?? "default"));
    const member = this.spawnWorker(id, env, before);
    await this.#members.whileAlive(member, `worker ${id} to be online`, async () => {
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

  /** As `worker:add` does, wherever the manager has its credentials; on MariaDB it knows of it within a second. */
  async #letIn(id: string, pool: string): Promise<string> {
    const databaseUrl = this.#env["MUSTER_DATABASE_URL"] ?? null;
    await using book = await openCredentialBook({ databaseUrl, dataDir: join(this.folder, "manager") }, () => undefined);
    return await book.change(withClient({ username: id, pool, role: "worker" }));
  }

  /** Starts one that was started before, and does not wait for it. */
  spawnWorker(id: string, env: Env = {}, before: readonly string[] = []): Member {
    const password = this.#passwords.get(id);
    if (password === undefined) throw new Error(`${id} was not started before`);
    const settings = {
      MUSTER_DATA_DIR: join(this.folder, `worker-${id}`),
      MUSTER_WORKER_ID: id,
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.#brokerPort}`,
      MUSTER_BROKER_PASSWORD: password,
      MUSTER_MANAGER_URL: this.url,
    };
    return this.#members.spawn(`worker-${id}`, ["worker/main.ts"], { ...this.#env, ...settings, ...env }, before);
  }

  /** One API call with the token; the body is parsed when it is JSON. */
  async call(method: string, path: string, body?: unknown, headers: Env = {}): Promise<Called> {
    return await this.#client.call(method, path, body, headers);
  }

  /** Creates a task; throws with the problem when it cannot be. */
  async task(definition: Record<string, unknown>): Promise<string> {
    return await this.#client.task(definition);
  }

  /** Starts `count` runs of a task in one request and returns their ids. */
  async startRuns(taskId: string, count: number, more: Record<string, unknown> = {}): Promise<string[]> {
    return await this.#client.startRuns(taskId, count, more);
  }

  async run(id: string): Promise<any> {
    return await this.#client.run(id);
  }

  /** Waits until the run is terminal and returns it. */
  async ended(id: string, withinMs = 60_000): Promise<any> {
    return await this.#client.ended(id, withinMs);
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
    return await this.#members.kill(member, signal);
  }

  /** Ends everything, the tasks' processes too, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#members.killAll();
    sweep(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
