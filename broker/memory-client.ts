import { filterMatches } from "./access.ts";
import type { Connection, ConnectOptions, Delivery, PublishOptions } from "./broker.ts";

/** A message as the broker without a network took it. */
export interface Published {
  readonly clientId: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

/** One client of the broker without a network. */
export interface MemoryClient {
  readonly clientId: string;
  readonly will: ConnectOptions["will"];
  readonly connection: Connection;
  holds(topic: string): boolean;
  /** Delivers in a microtask of its own, in order: never inside the publisher's call, as over a real wire. */
  later(delivery: Delivery): void;
  end(why: string): void;
}

export interface MemoryClientParts {
  readonly route: (message: Published) => void;
  readonly maxPayloadBytes: number | undefined;
  readonly forget: (client: MemoryClient) => void;
  readonly replay: (client: MemoryClient, filter: string) => void;
}

export function memoryClient(
  options: ConnectOptions,
  { route, maxPayloadBytes, forget, replay }: MemoryClientParts,
): MemoryClient {
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
  const client: MemoryClient = {
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
