/** BullMQ on a private Redis, to compare with. It is installed when it is first needed, into a folder of its own. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isThere } from "../../test/kit/packages.ts";
import { freePorts } from "../../test/kit/ports.ts";
import { cpuForEach } from "../kit/cpu.ts";
import { makeFolder, removeFolder } from "../kit/folders.ts";
import { nodePart, Part } from "../kit/part.ts";

/** How Redis keeps what it was told: not at all until it saves by itself, or by an fsync before each answer. */
export type Durability = "no AOF" | "AOF always";

const folder = import.meta.dirname;

/** Why BullMQ cannot be measured here; undefined when it can. Installs its packages, after a line that says so. */
export function peerMissing(say: (line: string) => void): string | undefined {
  if (!isThere("redis-server")) return "redis-server is not installed here";
  if (existsSync(join(folder, "node_modules/bullmq/package.json"))) return undefined;
  say("installing BullMQ into bench/peers/node_modules: npm ci --ignore-scripts");
  const done = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, encoding: "utf8" });
  return done.status === 0 ? undefined : `BullMQ could not be installed: ${done.stderr.trim().split("\n").at(-1)}`;
}

export interface Worked {
  readonly jobs: number;
  readonly perSecond: number;
  readonly cpu: Readonly<Record<string, number>>;
}

export interface Work {
  readonly job: "noop" | "spawn";
  readonly concurrency: number;
  /** Adds at once. */
  readonly lanes: number;
  /** 1: `add`; more: `addBulk`. */
  readonly perAdd: number;
  readonly forMs: number;
  readonly adds?: number;
}

interface Counts {
  readonly completed: number;
  readonly completedMs: number;
  readonly failed: number;
}

export class BullMq {
  readonly #folder = makeFolder();
  readonly #redis: Part;
  readonly #process: Part;
  #done = 0;

  private constructor(port: number, durability: Durability) {
    const aof = durability === "AOF always" ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", this.#folder, "--save", "", ...aof];
    this.#redis = new Part({ name: "redis", folder: this.#folder, command: "redis-server", args });
    this.#process = nodePart({ name: "bullmq", folder: this.#folder, file: "bench/peers/bullmq.mjs" });
  }

  static async start(durability: Durability): Promise<BullMq> {
    const [port = 0] = await freePorts(1);
    const peer = new BullMq(port, durability);
    await peer.#redis.ready("Redis", () => peer.#redis.log.includes("Ready to accept connections"));
    await peer.#process.ask("open", { port });
    return peer;
  }

  /** Adds jobs while they are worked on; resolves when all are completed, and rejects when one is not. */
  async work({ job, concurrency, ...adding }: Work): Promise<Worked> {
    await this.#process.ask("work", { job, concurrency });
    const before = this.#cpuMs();
    const { added, fromMs } = await this.#process.ask<{ added: number; fromMs: number }>("add", adding);
    this.#done += added;
    const completedMs = await this.#completed();
    return {
      jobs: added,
      perSecond: (added * 1_000) / (completedMs - fromMs),
      cpu: cpuForEach(before, this.#cpuMs(), added),
    };
  }

  /** From each instant at which an add was due to its `completed` event, milliseconds. */
  async latencies(ask: {
    readonly perSecond: number;
    readonly count: number;
    readonly concurrency: number;
  }): Promise<readonly number[]> {
    await this.#process.ask("work", { job: "noop", concurrency: ask.concurrency });
    const { latencies } = await this.#process.ask<{ latencies: number[] }>("latency", ask);
    this.#done += ask.count;
    await this.#completed();
    return latencies;
  }

  #cpuMs(): Record<string, number> {
    return { redis: this.#redis.cpuMs(), bullmq: this.#process.cpuMs() };
  }

  async #completed(): Promise<number> {
    let last = 0;
    for (let quiet = 0; quiet < 2_000; quiet += 1) {
      const { completed, completedMs, failed } = await this.#process.ask<Counts>("counts");
      if (failed > 0) throw new Error(`${failed} jobs of BullMQ failed`);
      if (completed === this.#done) {
        const kept = await this.#process.ask<Record<string, number>>("kept");
        if (kept["completed"] !== this.#done)
          throw new Error(`BullMQ was given ${this.#done} jobs and has ${JSON.stringify(kept)}`);
        return completedMs;
      }
      if (completed !== last) quiet = 0;
      last = completed;
      await new Promise((done) => setTimeout(done, 10));
    }
    throw new Error(`BullMQ completed ${last} of its ${this.#done} jobs, and then nothing more for 20 s`);
  }

  async close(): Promise<void> {
    await this.#process.end("SIGKILL");
    await this.#redis.end("SIGKILL");
    removeFolder(this.#folder);
  }
}
