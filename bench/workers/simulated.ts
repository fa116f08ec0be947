/**
 * A worker that runs nothing: it takes starts and says at once that they were accepted and have exited. On the wire it is a worker
 * like any other, over a socket of its own: last will, hello, sync, reports numbered without gaps, bounded on the wire and sent again
 * until they are acknowledged, heartbeats at the interval that the manager gives.
 */
import type { Connector, Connection } from "../../broker/broker.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { liveDigest } from "../../schema/digest.ts";
import { bootClock } from "../../schema/kit/clock.ts";
import { shortId } from "../../schema/kit/random.ts";
import { timing } from "../../schema/limits.ts";
import type { Commands, DownItem, Hello, Heartbeat, StartItem, Status } from "../../schema/messages.ts";
import { commandsTopic, downlinkFilter, uplinkTopic, type UplinkKind } from "../../schema/topics.ts";
import { hostMs } from "../kit/cpu.ts";
import { ReportQueue } from "./report-queue.ts";

export interface SimulatedOptions {
  readonly id: string;
  readonly password: string;
  readonly brokerUrl: string;
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the workers of a process have done, added up. */
export interface Tally {
  started: number;
  /** Ends that an ack of the manager covers, so they are durable. */
  acked: number;
  /** When the newest of them was, on the host's clock. */
  ackedMs: number;
  repeatedStarts: number;
  resentReports: number;
  hellos: number;
  heartbeats: number;
}

export function newTally(): Tally {
  return { started: 0, acked: 0, ackedMs: 0, repeatedStarts: 0, resentReports: 0, hellos: 0, heartbeats: 0 };
}

const clock = bootClock();
const prefix = "muster";
const pool = "default";
export class SimulatedWorker {
  readonly #options: SimulatedOptions;
  readonly #tally: Tally;
  readonly #journal = shortId();
  readonly #epoch = `${this.#journal}.1.${shortId()}`;
  readonly #known = new Set<string>();
  readonly #queue = new ReportQueue();
  #highestTerm = 0;
  #settings = { version: 0, heartbeatMs: timing.heartbeatMs as number };
  #connection: Connection | undefined;
  #flushing = false;
  #beat: NodeJS.Timeout | undefined;
  readonly #synced = Promise.withResolvers<void>();

  constructor(options: SimulatedOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
  }

  /** Connects, says hello and resolves when the manager has synced it. The connection is made once: when it ends, the process does. */
  async connect(): Promise<void> {
    const { id, password, brokerUrl } = this.#options;
    const connector = mqttConnector({ url: brokerUrl, username: id, password });
    const gone: Status = { st: "gone", ep: this.#epoch, cn: 1 };
    const connection = await patiently(connector).connect(
      {
        clientId: id,
        will: { topic: uplinkTopic(prefix, pool, id, "status"), payload: bytes(gone), retain: true },
        take: ({ topic, payload }) => {
          if (topic === commandsTopic(prefix, pool, id)) this.#take(payload);
        },
      },
      new AbortController().signal,
    );
    this.#connection = connection;
    void connection.closed.then((why) => {
      process.stderr.write(`${id}: ${why}\n`);
      process.exit(1);
    });
    await connection.subscribe(downlinkFilter(prefix, pool, id));
    await this.#publish("status", { st: "on", ep: this.#epoch, cn: 1 } satisfies Status);
    const repeat = setInterval(() => this.#hello(), timing.resendFirstMs);
    this.#hello();
    await this.#synced.promise;
    clearInterval(repeat);
    // A fleet's beats are spread, as they are when its hosts came up one after the other.
    this.#beat = setTimeout(() => this.#heartbeat(), Math.random() * this.#settings.heartbeatMs);
    setInterval(() => this.#resend(), timing.resendFirstMs).unref();
  }

  #uplink(): { v: 1; epoch: string; connection: number; mono: number } {
    return { v: 1, epoch: this.#epoch, connection: 1, mono: clock.now().mono };
  }

  #hello(): void {
    this.#tally.hellos += 1;
    const { id, slots, labels } = this.#options;
    const ended = this.#queue.items.filter(({ report }) => report.kind === "end").slice(0, 300);
    const message: Hello = {
      ...this.#uplink(),
      facts: {
        os: "linux",
        osVersion: "",
        arch: process.arch,
        hostname: id,
        cpus: 64,
        memoryMb: 262_144,
        interpreters: { sh: "1" },
        drivers: ["exec", "script"],
        agentVersion: "0.1.0",
        nodeVersion: process.versions.node,
        bootId: "simulated",
      },
      labels,
      capacity: { slots, memoryMb: 262_144, cpus: 64 },
      highestTerm: this.#highestTerm,
      highestAck: this.#queue.highestAck,
      firstUnackedSeq: this.#queue.firstUnackedSeq,
      newestSeq: this.#queue.nextSeq - 1,
      versions: [1],
      survives: true,
      http: false,
      draining: false,
      inventory: {
        part: 1,
        of: 1,
        items: ended.map(({ report, run }) => ({ attempt: report.attempt, run, start: 1, state: "ended", end: report.end })),
      },
    };
    void this.#publish("hello", message);
  }

  #heartbeat(): void {
    this.#tally.heartbeats += 1;
    const message: Heartbeat = {
      ...this.#uplink(),
      free: { slots: this.#options.slots, memoryMb: 262_144, cpus: 64 },
      load: { cpu: 0.1, memoryMb: 1_024 },
      settingsVersion: this.#settings.version,
      draining: false,
      spoolBytes: 0,
      live: liveDigest([]),
    };
    void this.#publish("heartbeat", message);
    this.#beat = setTimeout(() => this.#heartbeat(), this.#settings.heartbeatMs);
  }

  #take(payload: Uint8Array): void {
    const message = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString()) as Commands;
    const mine = message.asOf.epoch === this.#epoch;
    if (!mine || message.term < this.#highestTerm) return;
    this.#highestTerm = message.term;
    for (const item of message.items) this.#obey(item);
    this.#flushSoon();
  }

  #obey(item: DownItem): void {
    switch (item.kind) {
      case "start":
        return this.#start(item);
      case "ack":
        return this.#acknowledge(item.journal, item.seq);
      case "sync":
        if (item.refused !== undefined) throw new Error(`${this.#options.id} is refused: ${item.refused}`);
        if (item.ack) this.#acknowledge(item.ack.journal, item.ack.seq);
        if (item.settings) this.#settings = item.settings;
        return this.#synced.resolve();
      case "settings":
        this.#settings = item;
        return;
      case "ask":
        if (item.hello) this.#hello();
        return;
      case "stop":
      case "signal":
      case "drain":
      case "logsAck":
        throw new Error(`${this.#options.id} was sent ${item.kind}, which no benchmark asks for`);
    }
  }

  #start({ attempt, run, env }: StartItem): void {
    if (this.#known.has(attempt)) {
      this.#tally.repeatedStarts += 1;
      return;
    }
    this.#known.add(attempt);
    this.#tally.started += 1;
    const { wall: at } = clock.now();
    // What it would exit with, where a task declares the parameter.
    const end = { how: "exited", code: Number(env["PARAM_EXIT"] ?? 0) } as const;
    this.#queue.add(run, { attempt, start: 1, kind: "accepted", at });
    this.#queue.add(run, { attempt, start: 1, kind: "end", at, pid: 1, startedAt: at, end });
  }

  #acknowledge(journal: string, seq: number): void {
    if (journal !== this.#journal || seq <= this.#queue.highestAck) return;
    this.#tally.acked += this.#queue.acknowledge(seq);
    this.#tally.ackedMs = hostMs();
  }

  /** Once for all that one turn of the network brought. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const items of this.#queue.messages()) {
      const head = JSON.stringify({ ...this.#uplink(), journal: this.#journal });
      void this.#deliver("reports", Buffer.from(`${head.slice(0, -1)},"items":[${items.join(",")}]}`));
    }
  }

  #resend(): void {
    const lost = this.#queue.giveUpOnWire();
    this.#tally.resentReports += lost;
    if (lost > 0) this.#flush();
  }

  async #publish(kind: UplinkKind, message: object): Promise<void> {
    await this.#deliver(kind, bytes(message));
  }

  async #deliver(kind: UplinkKind, payload: Uint8Array): Promise<void> {
    await this.#connection!.publish(uplinkTopic(prefix, pool, this.#options.id, kind), payload, {
      qos: kind === "heartbeat" ? 0 : 1,
      retain: kind === "status",
    });
  }

  /** Leaves without a word, for the end of a benchmark. */
  stop(): void {
    clearTimeout(this.#beat);
  }
}

function bytes(message: object): Buffer {
  return Buffer.from(JSON.stringify(message));
}

const refusedAtMost = 100;

/** A broker takes only so many new connections in a second, and a fleet that joins at once is refused and comes again, as real workers do. */
function patiently(connector: Connector): Connector {
  return {
    async connect(options, signal) {
      for (let refused = 1; ; refused += 1) {
        try {
          return await connector.connect(options, signal);
        } catch (error) {
          if (refused === refusedAtMost) throw error;
          await new Promise((done) => setTimeout(done, 100 + Math.random() * 200));
        }
      }
    },
  };
}
