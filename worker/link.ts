/** The worker's end of the wire: one connection after the other, each with its number, its last will and one subscription. */
import type { Connection, Connector, ConnectOptions, Delivery } from "../broker/broker.ts";
import { keepConnected, type SessionOptions } from "../broker/session.ts";
import { willOf } from "./agent/agent.ts";
import type { LinkTracing } from "./telemetry/tracing.ts";
import { pause } from "../schema/kit/backoff.ts";
import type { Log } from "../schema/kit/log.ts";
import { Service } from "../schema/kit/service.ts";
import { timing, wireLimits } from "../schema/limits.ts";
import type { Status } from "../schema/messages.ts";
import { commandsTopic, downlinkFilter, uplinkTopic, type UplinkKind } from "../schema/topics.ts";

/** The first reconnect within a second, then ever later up to half a minute: also the pace at which a wrong password is tried. */
const backoff = { firstMs: 1_000, maxMs: 30_000 } as const;

export interface LinkDeps {
  readonly connector: Connector;
  readonly prefix: string;
  readonly pool: string;
  readonly workerId: string;
  readonly epoch: string;
  /** After SUBACK. */
  readonly up: (connection: number) => void;
  readonly down: (why: string) => void;
  /** A command's payload; must return at once. */
  readonly take: (payload: Uint8Array) => void;
  /** In [0, 1): spreads a fleet's reconnects. */
  readonly random: () => number;
  readonly log: Log;
  /** Absent: no spans are made. */
  readonly tracing?: LinkTracing | undefined;
  readonly backoff?: SessionOptions["backoff"];
}

export class Link extends Service {
  readonly name = "worker link";
  /** Why there is no connection; null while there is one. */
  trouble: string | null = "not connected yet";
  /** Messages since the agent began. `notSent`: there was no connection, or it ended before the broker took them; or too large. */
  readonly figures = { received: 0, notSent: 0, sent: { hello: 0, reports: 0, heartbeat: 0, logs: 0, status: 0 } };
  readonly #deps: LinkDeps;
  #connections = 0;
  #connection: Connection | undefined;
  #restMs = 0;
  #round: AbortController | undefined;

  constructor(deps: LinkDeps) {
    super();
    this.#deps = deps;
  }

  /** The number of the present or the last connection. */
  get connection(): number {
    return this.#connections;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /**
   * Publishes one message. Without a connection, or when it is too large, nothing is sent: the core and the log shipper
   * repeat what is not acknowledged. Resolves once the broker took it or it was given up; never rejects.
   */
  async publish(kind: UplinkKind, message: object): Promise<void> {
    const { log, prefix, pool, workerId } = this.#deps;
    const connection = this.#connection;
    if (!connection) {
      this.figures.notSent += 1;
      return;
    }
    const traced = this.#deps.tracing?.publishing(kind, message);
    const payload = Buffer.from(JSON.stringify(traced?.message ?? message));
    const most = kind === "status" ? wireLimits.statusBytes : wireLimits.payloadBytes;
    if (payload.byteLength > most) {
      this.figures.notSent += 1;
      traced?.published("lost");
      log.error({ message: kind, bytes: payload.byteLength, most }, "a message is larger than the wire allows and is not sent");
      return;
    }
    try {
      await connection.publish(uplinkTopic(prefix, pool, workerId, kind), payload, {
        qos: kind === "heartbeat" ? 0 : 1,
        retain: kind === "status",
      });
      this.figures.sent[kind] += 1;
      traced?.published("taken");
    } catch (error) {
      this.figures.notSent += 1;
      traced?.published("lost");
      log.debug({ err: error, message: kind }, "not published; it is repeated");
    }
  }

  /** Says `off`, leaves the broker and comes back after `ms`. */
  async restFor(ms: number): Promise<void> {
    const round = this.#round;
    this.#restMs = ms;
    await this.#sayOff();
    round?.abort("the manager refuses this worker");
  }

  /** Says `off` and goodbye, and does not come back. */
  async leave(): Promise<void> {
    await this.#sayOff();
    await this.stop();
  }

  /** Waits a little for the broker to take it, and no longer: leaving does not hang on the broker. */
  async #sayOff(): Promise<void> {
    const off: Status = { st: "off", ep: this.#deps.epoch, cn: this.#connections };
    const waited = new AbortController();
    await Promise.race([this.publish("status", off), pause(timing.lastWordsMs, waited.signal)]);
    waited.abort();
  }

  protected async loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const round = new AbortController();
      this.#round = round;
      await keepConnected({
        connector: this.#deps.connector,
        connectOptions: () => this.#options(),
        onUp: (connection) => this.#up(connection),
        onDown: (why) => this.#down(why),
        onFailed: (why) => {
          this.trouble = why;
        },
        backoff: this.#deps.backoff ?? backoff,
        random: this.#deps.random,
        log: this.#deps.log,
        signal: AbortSignal.any([signal, round.signal]),
      });
      const restMs = this.#restMs;
      this.#restMs = 0;
      await pause(restMs, signal);
    }
  }

  #options(): ConnectOptions {
    const { prefix, pool, workerId, epoch } = this.#deps;
    this.#connections += 1;
    const will = Buffer.from(JSON.stringify(willOf(epoch, this.#connections)));
    return {
      clientId: workerId,
      will: { topic: uplinkTopic(prefix, pool, workerId, "status"), payload: will, retain: true },
      take: (delivery) => this.#take(delivery),
    };
  }

  async #up(connection: Connection): Promise<void> {
    const { prefix, pool, workerId } = this.#deps;
    await connection.subscribe(downlinkFilter(prefix, pool, workerId));
    this.#connection = connection;
    this.trouble = null;
    this.#deps.log.info({ connection: this.#connections }, "connected to the broker");
    this.#deps.up(this.#connections);
  }

  #down(why: string): void {
    this.trouble = why;
    // Only what was told of as up goes down: a connection whose subscription was refused never was.
    if (!this.#connection) return;
    this.#connection = undefined;
    this.#deps.down(why);
  }

  #take(delivery: Delivery): void {
    this.figures.received += 1;
    const { prefix, pool, workerId, log } = this.#deps;
    if (delivery.topic === commandsTopic(prefix, pool, workerId)) this.#deps.take(delivery.payload);
    else log.warn({ topic: delivery.topic }, "a message on a topic that this worker does not know is passed over");
  }
}
