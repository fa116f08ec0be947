/** The manager's end of the wire: one connection, one subscription for each pool that it leads, every message to its engine. */
import type { Connection, ConnectOptions, Connector, Delivery } from "../../broker/broker.ts";
import { keepConnected } from "../../broker/session.ts";
import { id, managerUsername } from "../../schema/ids.ts";
import { reached } from "../../schema/kit/failpoint.ts";
import type { Log } from "../../schema/kit/log.ts";
import { Service } from "../../schema/kit/service.ts";
import { wireLimits } from "../../schema/limits.ts";
import { parseUplinkTopic, uplinkFilter, type UplinkKind } from "../../schema/topics.ts";
import type { PoolEngine } from "../engine/engine.ts";
import { parseUplink } from "./inbox.ts";
import type { LogIntake } from "./log-intake.ts";
import type { Outbox } from "./outbox.ts";

export interface LinkDeps {
  readonly connector: Connector;
  readonly clientId: string;
  readonly prefix: string;
  readonly engines: ReadonlyMap<string, Pick<PoolEngine, "lead" | "post">>;
  readonly outbox: Outbox;
  readonly intake: LogIntake;
  readonly log: Log;
  readonly random: () => number;
}

export interface LinkFigures {
  received: number;
  receivedBytes: number;
  /** Of those of pools that are led here. */
  readonly byKind: Record<UplinkKind, number>;
  unreadable: number;
  /** More from one worker than it may have waiting. */
  overflow: number;
  tooLarge: number;
}

/** Managers are few: no wave to spread, and a pool waits for its new leader's connection. */
const reconnect = { firstMs: 200, maxMs: 5_000 };

export class Link extends Service {
  readonly name = `link of ${managerUsername}`;
  readonly figures: LinkFigures = {
    received: 0,
    receivedBytes: 0,
    byKind: { hello: 0, reports: 0, heartbeat: 0, logs: 0, status: 0 },
    unreadable: 0,
    overflow: 0,
    tooLarge: 0,
  };
  readonly #deps: LinkDeps;
  #connection: Connection | undefined;
  #sentence = "not connected yet";
  #up = false;

  constructor(deps: LinkDeps) {
    super();
    this.#deps = deps;
  }

  get state(): { readonly up: boolean; readonly sentence: string } {
    return { up: this.#up, sentence: this.#sentence };
  }

  /**
   * The lead of the pool may have moved. Its uplinks are heard by its leader alone; a new leader gets the workers' retained
   * statuses with its subscription. A lead that ended leaves the subscription until the connection does: what it brings goes no
   * further.
   */
  lead(pool: string): void {
    const connection = this.#connection;
    if (!connection || !this.#deps.engines.get(pool)?.lead) return;
    connection.subscribe(uplinkFilter(this.#deps.prefix, pool)).catch(async (error: unknown) => {
      this.#deps.log.error({ err: error, pool }, "the pool that is led cannot be heard; the connection is made anew");
      await connection.close().catch(() => undefined);
    });
  }

  protected async loop(signal: AbortSignal): Promise<void> {
    const { connector, clientId, log, random } = this.#deps;
    await keepConnected({
      connector,
      connectOptions: (): ConnectOptions => ({ clientId, take: (delivery) => this.#take(delivery) }),
      onUp: (connection) => this.#onUp(connection),
      onDown: (why) => this.#onDown(why),
      onFailed: (why) => this.#onDown(why),
      backoff: reconnect,
      random,
      log,
      signal,
    });
  }

  async #onUp(connection: Connection): Promise<void> {
    const { prefix, engines, outbox, log } = this.#deps;
    this.#connection = connection;
    for (const [pool, engine] of engines) if (engine.lead) await connection.subscribe(uplinkFilter(prefix, pool));
    outbox.use(connection);
    this.#up = true;
    this.#sentence = "connected";
    log.info({ pools: [...engines.keys()].filter((pool) => engines.get(pool)?.lead) }, "connected to the broker");
  }

  #onDown(why: string): void {
    this.#deps.outbox.use(undefined);
    this.#connection = undefined;
    this.#up = false;
    this.#sentence = why;
  }

  /** Runs in the network's turn: parse and hand over, nothing else. */
  #take(delivery: Delivery): void {
    this.figures.received += 1;
    this.figures.receivedBytes += delivery.payload.byteLength;
    const { prefix, engines, intake, log } = this.#deps;
    const topic = parseUplinkTopic(prefix, delivery.topic);
    const engine = topic ? engines.get(topic.pool) : undefined;
    if (!topic || !engine || !id.safeParse(topic.worker).success) {
      this.#unreadable(delivery.topic, "no topic of ours");
      return;
    }
    // Only a leader may decide, store or acknowledge: the worker says it again to the next one (rule 13).
    if (!engine.lead) return;
    this.figures.byKind[topic.kind] += 1;
    if (delivery.payload.byteLength > wireLimits.payloadBytes) {
      this.figures.tooLarge += 1;
      this.#unreadable(delivery.topic, `${delivery.payload.byteLength} bytes are more than ${wireLimits.payloadBytes}`);
      return;
    }
    // An empty retained payload is how a status is deleted; it says nothing.
    if (delivery.payload.byteLength === 0) return;
    const parsed = parseUplink(topic.worker, topic.kind, delivery.payload);
    switch (parsed.kind) {
      case "unreadable":
        this.#unreadable(delivery.topic, parsed.why);
        return;
      case "logs":
        intake.take(topic.pool, topic.worker, parsed.message);
        return;
      case "input":
        if (parsed.dropped > 0) this.#unreadable(delivery.topic, "items without a readable seq are dropped", parsed.dropped);
        reached("s12", parsed.input);
        if (!engine.post(parsed.input, delivery.payload.byteLength)) {
          this.figures.overflow += 1;
          log.debug({ message: parsed.input.kind, workerId: topic.worker, outcome: "dropped" }, "message");
        }
        return;
    }
  }

  #unreadable(topic: string, why: string, count = 1): void {
    this.figures.unreadable += count;
    this.#deps.log.warn({ topic: topic.slice(0, 200), why, count, outcome: "unreadable" }, "message");
  }
}
