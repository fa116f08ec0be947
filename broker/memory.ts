/**
 * The wire without a network, for tests and simulations: the same seam, with every fault that the real one has, on command.
 * It has no timers and no chance of its own, so that one seed gives one course of events.
 */
import type { Dice } from "../schema/given.ts";
import { filterMatches } from "./access.ts";
import type { Connection, Connector, ConnectOptions, Delivery } from "./broker.ts";
import { memoryClient, type MemoryClient, type Published } from "./memory-client.ts";

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
  /** Called with every message that is published from now on, wills included, before its fate is drawn. */
  watch(see: ((message: Published) => void) | undefined): void;
}

export interface MemoryBroker {
  /** A connector for anybody; given a client id, it refuses every other, as a broker's password would. */
  connector(clientId?: string): Connector;
  readonly control: MemoryControl;
}

export interface MemoryBrokerOptions {
  readonly dice: Pick<Dice, "below">;
  /** Larger payloads are rejected, as every connection does; undefined: no bound. */
  readonly maxPayloadBytes?: number;
}

export function memoryBroker({ dice, maxPayloadBytes }: MemoryBrokerOptions): MemoryBroker {
  const clients = new Map<string, MemoryClient>();
  const retained = new Map<string, Uint8Array>();
  const way = lyingWay(dice);
  let refusal: string | undefined;
  let see: ((message: Published) => void) | undefined;

  const route = (message: Published): void => {
    see?.(message);
    const { topic, payload } = message;
    if (message.retain && payload.length === 0) retained.delete(topic);
    else if (message.retain) retained.set(topic, payload);
    for (const client of clients.values()) if (client.holds(topic)) way.send(client, { topic, payload, retained: false });
  };
  const cut = (clientId: string, why: string): boolean => {
    const client = clients.get(clientId);
    client?.end(why);
    if (client?.will) route({ clientId, qos: 1, ...client.will });
    return client !== undefined;
  };
  const connect = (options: ConnectOptions): Connection => {
    cut(options.clientId, "another connection took over the client id");
    const client = memoryClient(options, {
      route,
      maxPayloadBytes,
      forget: (gone) => clients.get(options.clientId) === gone && clients.delete(options.clientId),
      replay: (to, filter) => {
        for (const [topic, payload] of retained)
          if (filterMatches(filter, topic)) way.send(to, { topic, payload, retained: true });
      },
    });
    clients.set(options.clientId, client);
    return client.connection;
  };

  const connector = (only?: string): Connector => ({
    async connect(options, signal) {
      if (signal.aborted) throw new Error("not connected: no longer wanted");
      if (refusal !== undefined) throw new Error(refusal);
      if (only !== undefined && options.clientId !== only)
        throw new Error(`these are the credentials of ${only}, not of ${options.clientId}`);
      return connect(options);
    },
  });
  const control: MemoryControl = {
    faults: way.faults,
    decide: way.decide,
    release: way.release,
    cut: (clientId, why = "the connection was cut") => cut(clientId, why),
    restart(why = "the broker has stopped") {
      for (const client of clients.values()) client.end(why);
      retained.clear();
      way.forget();
    },
    refuse: (why) => {
      refusal = why;
    },
    connected: () => [...clients.keys()],
    watch: (wanted) => {
      see = wanted;
    },
  };
  return { connector, control };
}

interface Way extends Pick<MemoryControl, "faults" | "decide" | "release"> {
  send(client: MemoryClient, delivery: Delivery): void;
  forget(): void;
}

/** The way from the broker to its subscribers, where messages get lost, doubled and late. */
function lyingWay(dice: Pick<Dice, "below">): Way {
  let held: { readonly client: MemoryClient; readonly delivery: Delivery }[] = [];
  let odds: Faults = {};
  let decided: ((clientId: string, delivery: Delivery) => Fate | undefined) | undefined;

  const draw = (): Fate => {
    const { dropPercent = 0, repeatPercent = 0, holdPercent = 0 } = odds;
    if (dropPercent + repeatPercent + holdPercent === 0) return "pass";
    const drawn = dice.below(100);
    if (drawn < dropPercent) return "drop";
    if (drawn < dropPercent + repeatPercent) return "repeat";
    return drawn < dropPercent + repeatPercent + holdPercent ? "hold" : "pass";
  };
  return {
    send(client, delivery) {
      const fate = decided?.(client.clientId, delivery) ?? draw();
      if (fate === "hold") held.push({ client, delivery });
      if (fate === "pass" || fate === "repeat") client.later(delivery);
      if (fate === "repeat") client.later(delivery);
    },
    forget: () => {
      held = [];
    },
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
  };
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
