/**
 * The wire without a network, for tests and simulations: the same seam, with every fault that the real one has, on command.
 * It has no timers and no chance of its own, so that one seed gives one course of events.
 */
import type { Dice } from "../schema/given.ts";
import { filterMatches } from "./access.ts";
import type { Connection, Connector, ConnectOptions, Delivery, PublishOptions } from "./broker.ts";

/** What becomes of one message on its way to one subscriber. `hold` keeps it until `release`. */
export type Fate = "pass" | "drop" | "repeat" | "hold";

/** Percentages, together at most 100; the rest passes. */
export interface Faults {
  readonly dropPercent?: number;
  readonly repeatPercent?: number;
  readonly holdPercent?: number;
}

export interface MemoryControl {
  /** Draws the fate of each delivery by these odds, from now on. No argument: everything passes. */
  faults(odds?: Faults): void;
  /** Decides deliveries by hand, before the odds; undefined leaves one to them. */
  decide(fate: ((clientId: string, delivery: Delivery) => Fate | undefined) | undefined): void;
  /** Delivers what was held, in the order of publishing or shuffled; returns how many. What was held for a connection that has ended is lost. */
  release(order?: "inOrder" | "shuffled"): number;
  /** Ends a connection without a goodbye, so that its will is published. False when there is none of this client id. */
  cut(clientId: string, why?: string): boolean;
  /** The broker dies: every connection ends, no will is published, what was retained or held is lost. */
  restart(why?: string): void;
  /** Connections are refused with this sentence until it is called without one. */
  refuse(why?: string): void;
  connected(): readonly string[];
  /** Every message that was published, wills included, since the broker was made. */
  readonly published: readonly Published[];
}

export interface Published {
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

export interface MemoryBroker {
  /** A connector for anybody; given a client id, it refuses every other, as a broker's password would. */
  connector(clientId?: string): Connector;
  readonly control: MemoryControl;
}

/** `maxPayloadBytes` rejects larger payloads, as every connection does; undefined: no bound. */
export function memoryBroker({ dice, maxPayloadBytes }: { readonly dice: Pick<Dice, "below">; readonly maxPayloadBytes?: number }): MemoryBroker {
  const clients = new Map<string, Client>();
  const retained = new Map<string, Uint8Array>();
  const published: Published[] = [];
  let held: { readonly client: Client; readonly delivery: Delivery }[] = [];
  let odds: Faults = {};
  let decided: ((clientId: string, delivery: Delivery) => Fate | undefined) | undefined;
  let refusal: string | undefined;

  const draw = (clientId: string, delivery: Delivery): Fate => {
    const byHand = decided?.(clientId, delivery);
    if (byHand) return byHand;
    const { dropPercent = 0, repeatPercent = 0, holdPercent = 0 } = odds;
    if (dropPercent + repeatPercent + holdPercent === 0) return "pass";
    const drawn = dice.below(100);
    if (drawn < dropPercent) return "drop";
    if (drawn < dropPercent + repeatPercent) return "repeat";
    return drawn < dropPercent + repeatPercent + holdPercent ? "hold" : "pass";
  };
  const deliver = (client: Client, delivery: Delivery): void => {
    const fate = draw(client.clientId, delivery);
    if (fate === "hold") held.push({ client, delivery });
    if (fate === "pass" || fate === "repeat") client.later(delivery);
    if (fate === "repeat") client.later(delivery);
  };
  const route = (message: Published): void => {
    published.push(message);
    const { topic, payload } = message;
    if (message.retain && payload.length === 0) retained.delete(topic);
    else if (message.retain) retained.set(topic, payload);
    for (const client of clients.values()) if (client.holds(topic)) deliver(client, { topic, payload, retained: false });
  };
  const cut = (clientId: string, why: string): boolean => {
    const client = clients.get(clientId);
    client?.end(why);
    if (client?.will) route({ clientId, qos: 1, ...client.will });
    return client !== undefined;
  };
  const connect = async (options: ConnectOptions, signal: AbortSignal): Promise<Connection> => {
    if (signal.aborted) throw new Error("not connected: no longer wanted");
    if (refusal !== undefined) throw new Error(refusal);
    cut(options.clientId, "another connection took over the client id");
    const client = makeClient(options, {
      route,
      maxPayloadBytes,
      forget: (gone) => clients.get(options.clientId) === gone && clients.delete(options.clientId),
      replay: (to, filter) => {
        for (const [topic, payload] of retained) if (filterMatches(filter, topic)) deliver(to, { topic, payload, retained: true });
      },
    });
    clients.set(options.clientId, client);
    return client.connection;
  };
  const control: MemoryControl = {
    faults: (wanted = {}) => {
      odds = wanted;
    },
    decide: (fate) => {
      decided = fate;
    },
    release(order = "inOrder") {
      const all = order === "shuffled" ? shuffled(held, dice) : held;
      held = [];
      for (const { client, delivery } of all) client.later(delivery);
      return all.length;
    },
    cut: (clientId, why = "the connection was cut") => cut(clientId, why),
    restart(why = "the broker has stopped") {
      for (const client of clients.values()) client.end(why);
      retained.clear();
      held = [];
    },
    refuse: (why) => {
      refusal = why;
    },
    connected: () => [...clients.keys()],
    published,
  };
  const connector = (only?: string): Connector => ({
    async connect(options, signal) {
      if (only !== undefined && options.clientId !== only) throw new Error(`these are the credentials of ${only}, not of ${options.clientId}`);
      return await connect(options, signal);
    },
  });
  return { connector, control };
}

interface Client {
  readonly clientId: string;
  readonly will: ConnectOptions["will"];
  readonly connection: Connection;
  holds(topic: string): boolean;
  /** Delivers in a microtask of its own, in order: never inside the publisher's call, as over a real wire. */
  later(delivery: Delivery): void;
  end(why: string): void;
}

interface ClientParts {
  readonly route: (message: Published) => void;
  readonly maxPayloadBytes: number | undefined;
  readonly forget: (client: Client) => void;
  readonly replay: (client: Client, filter: string) => void;
}

function makeClient(options: ConnectOptions, { route, maxPayloadBytes, forget, replay }: ClientParts): Client {
  const { clientId } = options;
  const filters = new Set<string>();
  const closed = Promise.withResolvers<string>();
  let endedWhy: string | undefined;
  const check = (): void => {
    if (endedWhy !== undefined) throw new Error(`the connection ended: ${endedWhy}`);
  };
  const connection: Connection = {
    closed: closed.promise,
    async publish(topic: string, payload: Uint8Array, { qos, retain = false }: PublishOptions) {
      check();
      if (maxPayloadBytes !== undefined && payload.length > maxPayloadBytes) {
        throw new Error(`not published to ${topic}: ${payload.length} bytes are over the bound of ${maxPayloadBytes}`);
      }
      // A copy: the publisher may write its buffer anew, and a held message must not change.
      route({ clientId, topic, payload: payload.slice(), qos, retain });
    },
    async subscribe(filter: string) {
      check();
      filters.add(filter);
      replay(client, filter);
    },
    async close() {
      client.end("closed by this side");
    },
  };
  const client: Client = {
    clientId,
    will: options.will,
    connection,
    holds: (topic) => [...filters].some((filter) => filterMatches(filter, topic)),
    later: (delivery) =>
      queueMicrotask(() => {
        if (endedWhy === undefined) options.take(delivery);
      }),
    end(why) {
      if (endedWhy !== undefined) return;
      endedWhy = why;
      forget(client);
      closed.resolve(why);
    },
  };
  return client;
}

/** Fisher and Yates, with the given dice. */
function shuffled<T>(items: readonly T[], dice: Pick<Dice, "below">): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const at = dice.below(last + 1);
    [result[last], result[at]] = [result[at] as T, result[last] as T];
  }
  return result;
}
