import { liveDigest } from "../../../schema/digest.ts";
import type { Heartbeat, Hello, InventoryItem, Report } from "../../../schema/messages.ts";
import type { Input } from "../../../manager/control/inputs.ts";
import { attemptOf, makeTask, start, type Bench, type Said } from "./kit.ts";

/** A worker played by hand: it knows its epoch, its seq and what it would list. */
export class Hand {
  readonly bench: Bench;
  readonly id: string;
  epoch: string;
  connection = 1;
  seq = 0;
  acked = 0;
  highestTerm = 0;
  /** Its boot clock runs ahead of the manager's by this much. */
  readonly ahead: number;
  readonly live = new Map<string, InventoryItem>();
  facts: Partial<Hello["facts"]> = {};
  labels: Record<string, string> = {};
  capacity = { slots: 10, memoryMb: 1_000, cpus: 4 };
  http = true;

  constructor(bench: Bench, id: string, more: Partial<Pick<Hand, "facts" | "labels" | "capacity" | "http">> = {}) {
    this.bench = bench;
    this.id = id;
    this.ahead = 5_000_000;
    this.epoch = epochOf(id, 1);
    Object.assign(this, more);
  }

  get mono(): number {
    return this.bench.now.mono + this.ahead;
  }

  head(): { v: 1; epoch: string; connection: number; mono: number } {
    return { v: 1, epoch: this.epoch, connection: this.connection, mono: this.mono };
  }

  helloInput(more: Partial<Hello> = {}): Input {
    return { kind: "hello", workerId: this.id, message: this.hello(more) };
  }

  hello(more: Partial<Hello> = {}): Hello {
    const facts = {
      os: "linux",
      osVersion: "6.1",
      arch: "x64",
      hostname: this.id,
      cpus: 4,
      memoryMb: 1_000,
      interpreters: { sh: "1", bash: "5.2", python: "3.11.2" },
      drivers: ["exec", "script"],
      agentVersion: "1.0.0",
      nodeVersion: "24.1.0",
      bootId: "b",
      ...this.facts,
    };
    return {
      ...this.head(),
      facts,
      labels: this.labels,
      capacity: this.capacity,
      highestTerm: this.highestTerm,
      highestAck: this.acked,
      firstUnackedSeq: this.acked + 1,
      newestSeq: this.seq,
      versions: [1],
      survives: true,
      http: this.http,
      draining: false,
      inventory: { part: 1, of: 1, items: [...this.live.values()] },
      ...more,
    };
  }

  /** Says hello and is synced. */
  async join(more: Partial<Hello> = {}): Promise<Said> {
    const said = await this.bench.batch(this.helloInput(more));
    this.highestTerm = this.bench.term;
    return said;
  }

  beatInput(more: Partial<Heartbeat> = {}): Input {
    const live = liveDigest([...this.live.values()].filter((item) => item.state !== "ended").map((item) => item.attempt));
    const message: Heartbeat = {
      ...this.head(),
      free: this.capacity,
      load: { cpu: 0, memoryMb: 0 },
      settingsVersion: this.bench.state.settings.version,
      draining: this.bench.state.workers.get(this.id)?.row.draining ?? false,
      spoolBytes: 0,
      live,
      ...more,
    };
    return { kind: "heartbeat", workerId: this.id, message };
  }

  async beat(more: Partial<Heartbeat> = {}): Promise<Said> {
    return await this.bench.batch(this.beatInput(more));
  }

  statusInput(st: "on" | "off" | "gone"): Input {
    return { kind: "status", workerId: this.id, message: { st, ep: this.epoch, cn: this.connection } };
  }

  /** The next report, with a seq of its own. */
  next(attempt: string, kind: Report["kind"], more: Partial<Report> = {}): Report {
    this.seq += 1;
    const known = this.live.get(attempt);
    if (kind === "accepted" || kind === "running" || kind === "stopping")
      this.live.set(attempt, { attempt, run: known?.run ?? "r", start: 1, state: kind });
    if (kind === "end") this.live.delete(attempt);
    return { seq: this.seq, attempt, start: 1, kind, at: this.bench.now.wall, ...more };
  }

  reportInput(...items: Report[]): Input {
    return {
      kind: "reports",
      workerId: this.id,
      message: { ...this.head(), journal: this.epoch.slice(0, 12), items, unreadable: [] },
    };
  }

  async report(...items: Report[]): Promise<Said> {
    return await this.bench.batch(this.reportInput(...items));
  }

  /** Starts and ends an attempt with exit 0, or another end. */
  async finish(attempt: string, end: Report["end"] = { how: "exited", code: 0 }): Promise<Said> {
    return await this.report(
      this.next(attempt, "accepted"),
      this.next(attempt, "running", { pid: 7 }),
      this.next(attempt, "end", { end }),
    );
  }

  /** A later life of the agent on the same journal. */
  restart(): void {
    const [journal, n] = this.epoch.split(".") as [string, string];
    this.epoch = `${journal}.${Number(n) + 1}.nonce-${String(Number(n) + 1).padStart(6, "0")}`;
    this.connection = 1;
  }
}

export function epochOf(id: string, n: number): string {
  return `${`${id}-journal-----`.slice(0, 12)}.${n}.nonce-${String(n).padStart(6, "0")}`;
}

export async function joined(
  bench: Bench,
  id: string,
  more: Partial<Pick<Hand, "facts" | "labels" | "capacity" | "http">> = {},
): Promise<Hand> {
  const hand = new Hand(bench, id, more);
  await hand.join();
  return hand;
}

/** A run of a new task that its worker has told to be running. */
export async function running(
  bench: Bench,
  hand: Hand,
  more: Parameters<typeof makeTask>[1] = {},
): Promise<{ run: string; attempt: string }> {
  const run = await start(bench, await makeTask(bench, more), { workerId: hand.id });
  const attempt = (await attemptOf(bench, run)).id;
  await hand.report(hand.next(attempt, "accepted"), hand.next(attempt, "running"));
  return { run, attempt };
}
