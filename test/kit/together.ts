/** A real manager and real workers inside the test's own process, over a broker that runs elsewhere. Each worker's wire can be dropped. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addToken } from "../../broker/credentials.ts";
import { readManagerConfig } from "../../manager/config.ts";
import { runManager, type Manager } from "../../manager/manager.ts";
import { silentLog } from "../../schema/kit/log.ts";
import { readWorkerConfig } from "../../worker/config.ts";
import { runWorker, type Worker } from "../../worker/worker.ts";
import { sweep } from "./sweep.ts";
import { until } from "./until.ts";
import { makeWire, type Wire } from "./wire.ts";

export interface BrokerAt {
  readonly port: number;
  password(username: string): string;
}

export interface Placed {
  readonly worker: Worker;
  readonly wire: Wire;
  close(): Promise<void>;
}

type Answer = Record<string, any>;

export class Together implements AsyncDisposable {
  readonly folder: string;
  readonly #broker: BrokerAt;
  readonly #manager: Manager;
  readonly #token: string;
  readonly #placed = new Set<Placed>();

  private constructor(broker: BrokerAt, folder: string, manager: Manager, token: string) {
    this.#broker = broker;
    this.folder = folder;
    this.#manager = manager;
    this.#token = token;
  }

  /** A manager on a memory store, connected to the broker. */
  static async start(broker: BrokerAt): Promise<Together> {
    const folder = mkdtempSync(join(tmpdir(), "muster-together-"));
    const token = addToken(join(folder, "manager", "credentials.json"), { name: "tester" });
    const env = {
      MUSTER_DATA_DIR: join(folder, "manager"),
      MUSTER_DATABASE_URL: "memory:",
      MUSTER_HTTP_PORT: "0",
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${broker.port}`,
      MUSTER_BROKER_PASSWORD: broker.password("manager"),
      MUSTER_HEARTBEAT_MS: "1000",
    };
    const manager = await runManager(readManagerConfig([], env, folder), silentLog());
    const together = new Together(broker, folder, manager, token);
    await until("the manager to be connected", async () => (await together.get("/health"))["status"] === "pass");
    return together;
  }

  /** Starts a worker, in a data folder of its own by `place`, and waits until the manager has synced with it. */
  async place(id: string, place = id): Promise<Placed> {
    const placed = await this.#start(id, place);
    await until(`worker ${id} to be synced`, () => placed.worker.view().synced);
    return placed;
  }

  /** The same without waiting. */
  async #start(id: string, place: string): Promise<Placed> {
    const wire = await makeWire(this.#broker.port);
    const env = {
      MUSTER_DATA_DIR: join(this.folder, place),
      MUSTER_WORKER_ID: id,
      MUSTER_WORKER_SLOTS: "50",
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${wire.port}`,
      MUSTER_BROKER_PASSWORD: this.#broker.password(id),
      MUSTER_MANAGER_URL: this.#manager.url,
      MUSTER_HEARTBEAT_MS: "1000",
    };
    const worker = await runWorker(readWorkerConfig([], env, this.folder), silentLog());
    const close = async (): Promise<void> => {
      if (!this.#placed.delete(placed)) return;
      await worker.close();
      wire.cut();
    };
    const placed: Placed = { worker, wire, close };
    this.#placed.add(placed);
    return placed;
  }

  /** A second agent under the same id, on a folder of its own. */
  async double(id: string): Promise<Placed> {
    return await this.#start(id, `${id}-double`);
  }

  async get(path: string): Promise<Answer> {
    return (await (await this.#fetch("GET", path)).json()) as Answer;
  }

  async text(path: string): Promise<string> {
    return await (await this.#fetch("GET", path, undefined, { accept: "text/plain" })).text();
  }

  async post(path: string, body?: unknown): Promise<Answer> {
    const response = await this.#fetch("POST", path, body, { "content-type": "application/json" });
    const answer = (await response.json()) as Answer;
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Makes a task of a script for sh that only this worker may run, and starts it; the run's id. */
  async script(workerId: string, script: string, more: Answer = {}): Promise<string> {
    const run = { driver: "script", interpreter: "sh", script };
    const constraints = [`worker=${workerId}`];
    const task = await this.post("/tasks", { name: `t${Math.random().toString(36).slice(2)}`, run, constraints, ...more });
    return (await this.post(`/tasks/${task["id"]}/start`, {}))["id"] as string;
  }

  /** The run, once it is terminal. */
  async ended(runId: string): Promise<Answer> {
    return await until(`run ${runId} to end`, async () => {
      const run = await this.get(`/runs/${runId}?waitSeconds=5`);
      return run["endedAt"] ? run : undefined;
    });
  }

  async state(runId: string, state: string): Promise<void> {
    await until(`run ${runId} to be ${state}`, async () => (await this.get(`/runs/${runId}`))["state"] === state);
  }

  async #fetch(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return await fetch(`${this.#manager.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Closes every worker; what they run goes on. */
  async closeWorkers(): Promise<void> {
    await Promise.all([...this.#placed].map((placed) => placed.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeWorkers();
    await this.#manager.close();
    sweep(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
