/** A whole Muster as in production, each part a process of its own: manager, broker, database, simulated or real workers, load. */
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { addClient, addToken, mosquittoPasswd } from "../../broker/credentials.ts";
import type { CredentialBook } from "../../broker/credential-book.ts";
import { mosquittoPasswdOf, withClient, type CredentialsChange } from "../../broker/credentials-content.ts";
import { hashPassword, newPassword } from "../../broker/secrets.ts";
import { openCredentialBook } from "../../manager/store/credentials.ts";
import { managerUsername } from "../../schema/ids.ts";
import { isThere } from "../../test/kit/packages.ts";
import { freePorts } from "../../test/kit/ports.ts";
import type { ConnectAsk } from "../workers/process.ts";
import type { Tally } from "../workers/simulated.ts";
import type { Database } from "./database.ts";
import { makeFolder, removeFolder } from "./folders.ts";
import { nodePart, Part, root } from "./part.ts";

/** Where Node keeps what it compiled, as `npm run manager` has it. */
const compileCache = join(root, "node_modules/.cache/muster");

/** Why there can be no Mosquitto here; undefined when there can. */
export function mosquittoMissing(): string | undefined {
  return isThere("mosquitto") ? undefined : "mosquitto is not installed here";
}

export interface SystemOptions {
  readonly database: Database;
  readonly broker: "aedes" | "mosquitto";
  readonly env?: Readonly<Record<string, string>>;
  readonly profileDir?: string | undefined;
}

export class System {
  readonly folder = makeFolder();
  readonly token: string;
  readonly httpPort: number;
  readonly brokerPort: number;
  readonly database: Database;
  manager: Part;
  readonly broker: Part | undefined;
  readonly load: Part;
  /** The simulated ones, or the real one that was started last. */
  workers: Part | undefined;
  readonly #options: SystemOptions;
  readonly #managerEnv: Readonly<Record<string, string>>;
  readonly #parts: Part[] = [];
  /** Node writes a profile only at a gentle end. */
  readonly #profiled = new Set<Part>();

  private constructor(options: SystemOptions, ports: readonly number[], databaseUrl: string | undefined) {
    [this.httpPort, this.brokerPort] = ports as [number, number];
    this.#options = options;
    this.database = options.database;
    this.token = addToken(this.credentials, { name: "bench" });
    const password = addClient(this.credentials, { username: managerUsername, pool: "default", role: "manager" });
    const outside = options.broker === "mosquitto";
    this.#managerEnv = {
      NODE_COMPILE_CACHE: compileCache,
      MUSTER_DATA_DIR: join(this.folder, "manager"),
      MUSTER_HTTP_PORT: String(this.httpPort),
      ...(outside
        ? { MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.brokerPort}`, MUSTER_BROKER_PASSWORD: password }
        : { MUSTER_BROKER_PORT: String(this.brokerPort) }),
      ...(databaseUrl === undefined ? {} : { MUSTER_DATABASE_URL: databaseUrl }),
      ...options.env,
    };
    this.broker = outside ? this.#part(this.#mosquitto()) : undefined;
    this.manager = this.startManager();
    this.load = this.#part(nodePart({ name: "load", folder: this.folder, file: "bench/load/process.ts" }));
  }

  /** Starts database, broker, manager and load generator; resolves when the manager is ready. */
  static async start(options: SystemOptions): Promise<System> {
    const url = await options.database.fresh();
    const system = new System(options, await freePorts(2), url);
    try {
      await system.managerReady();
      return system;
    } catch (error) {
      await system.close();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  get credentials(): string {
    return join(this.folder, "manager", "credentials.json");
  }

  startManager(): Part {
    const args = [...this.#profile(), join(root, "manager/main.ts")];
    this.manager = this.#part(
      new Part({ name: "manager", folder: this.folder, command: process.execPath, args, env: this.#managerEnv }),
    );
    if (this.#options.profileDir !== undefined) this.#profiled.add(this.manager);
    return this.manager;
  }

  /** What Node is started with besides. */
  #profile(): string[] {
    const { profileDir } = this.#options;
    return profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`, "--cpu-prof-interval=500"];
  }

  async managerReady(): Promise<void> {
    await this.manager.ready("the manager", async () => (await fetch(`${this.url}/readyz`).catch(() => undefined))?.ok === true);
  }

  /** Simulated workers, all in one process; resolves when each of them is known to the manager. */
  async simulate(
    count: number,
    slots: number,
    labels: (n: number) => Readonly<Record<string, string>> = () => ({}),
  ): Promise<void> {
    const made = Array.from({ length: count }, (_, n) => ({ id: `sim-${n}`, password: newPassword() }));
    // Written at once: a file that is replaced ten thousand times is not what is measured.
    await this.#change((content) => {
      const clients = made.map(({ id, password }) => ({
        username: id,
        hash: hashPassword(password),
        pool: "default",
        role: "worker" as const,
      }));
      return [{ ...content, clients: [...content.clients, ...clients] }, undefined];
    });
    await this.#reloadMosquitto();
    this.workers = this.#part(nodePart({ name: "workers", folder: this.folder, file: "bench/workers/process.ts" }));
    const brokerUrl = `mqtt://127.0.0.1:${this.brokerPort}`;
    const workers = made.map((worker, n) => ({ ...worker, brokerUrl, slots, labels: labels(n) }));
    await this.workers.ask("connect", { workers, atOnce: 50 } satisfies ConnectAsk);
  }

  /** A real worker agent; resolves when it is online. */
  async realWorker(id: string, env: Readonly<Record<string, string>> = {}): Promise<Part> {
    const password = await this.#change(withClient({ username: id, pool: "default", role: "worker" }));
    await this.#reloadMosquitto();
    const worker = this.#part(
      new Part({
        name: id,
        folder: this.folder,
        command: process.execPath,
        args: [...this.#profile(), join(root, "worker/main.ts")],
        env: {
          NODE_COMPILE_CACHE: compileCache,
          MUSTER_DATA_DIR: join(this.folder, id),
          MUSTER_WORKER_ID: id,
          MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.brokerPort}`,
          MUSTER_BROKER_PASSWORD: password,
          MUSTER_MANAGER_URL: this.url,
          ...env,
        },
      }),
    );
    this.workers = worker;
    if (this.#options.profileDir !== undefined) this.#profiled.add(worker);
    await worker.ready(`worker ${id}`, async () => {
      const found = await this.call("GET", `/workers/${id}`).catch(() => undefined);
      return found?.state === "online";
    });
    return worker;
  }

  /** What the simulated workers have done so far. */
  async tally(): Promise<Tally> {
    return await this.workers!.ask<Tally>("tally");
  }

  /** One call of the API; rejects unless the answer is 2xx. */
  async call(method: string, path: string, body?: unknown): Promise<any> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text.slice(0, 500)}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Creates a task that runs `/bin/true`; its id. */
  async trueTask(more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const task = { name: "bench", run: { driver: "exec", program: "/bin/true" }, ...more };
    return ((await this.call("POST", "/tasks", task)) as { id: string }).id;
  }

  /** CPU time of each part so far, milliseconds. */
  cpuMs(): Record<string, number> {
    const database = this.database.pid();
    return Object.fromEntries([
      ["manager", this.manager.cpuMs()],
      ...(database === undefined ? [] : [["database", this.database.cpuMs()]]),
      ...(this.broker ? [["broker", this.broker.cpuMs()]] : []),
      ...(this.workers ? [["workers", this.workers.cpuMs()]] : []),
      ["load", this.load.cpuMs()],
    ]) as Record<string, number>;
  }

  /** Ends everything, the newest first. */
  async close(): Promise<void> {
    for (const part of this.#parts.toReversed()) {
      await part.end(this.#profiled.has(part) ? "SIGTERM" : "SIGKILL");
    }
    await this.database.drop();
    removeFolder(this.folder);
  }

  #part(part: Part): Part {
    this.#parts.push(part);
    return part;
  }

  /** Mosquitto with the password file that is made from our credentials. */
  #mosquitto(): Part {
    const { folder } = this;
    this.#writePasswords(mosquittoPasswd(this.credentials));
    writeFileSync(
      join(folder, "acl"),
      `user ${managerUsername}\ntopic readwrite muster/v1/#\npattern write muster/v1/default/%u/up/#\npattern read muster/v1/default/%u/down/#\n`,
      { mode: 0o600 },
    );
    const lines = [
      `listener ${this.brokerPort} 127.0.0.1`,
      "allow_anonymous false",
      `password_file ${folder}/passwd`,
      `acl_file ${folder}/acl`,
      "set_tcp_nodelay true",
      "max_queued_messages 0",
      "max_inflight_messages 100",
      `user ${userInfo().username}`,
    ];
    writeFileSync(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
    return new Part({ name: "mosquitto", folder, command: "mosquitto", args: ["-c", join(folder, "mosquitto.conf")] });
  }

  #writePasswords(passwords: string): void {
    writeFileSync(join(this.folder, "passwd"), passwords, { mode: 0o600 });
  }

  /** The credentials where the manager has them, as its commands would open them. */
  async #openBook(): Promise<CredentialBook & AsyncDisposable> {
    const databaseUrl = this.#managerEnv["MUSTER_DATABASE_URL"] ?? null;
    return await openCredentialBook({ databaseUrl, dataDir: join(this.folder, "manager") }, () => undefined);
  }

  async #change<T>(change: CredentialsChange<T>): Promise<T> {
    await using book = await this.#openBook();
    return await book.change(change);
  }

  async #reloadMosquitto(): Promise<void> {
    if (!this.broker) return;
    await using book = await this.#openBook();
    this.#writePasswords(mosquittoPasswdOf(await book.read()));
    process.kill(this.broker.pid, "SIGHUP");
    await this.broker.ready("mosquitto to read its passwords again", () => this.broker!.log.includes("Reloading config"));
  }
}
