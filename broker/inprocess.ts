/** The embedded broker's own process as a client: the same seam as over a socket, without the socket. */
import type { Aedes, AedesPublishPacket } from "aedes";
import { managerUsername } from "../schema/ids.ts";
import type { Log } from "../schema/kit/log.ts";
import { filterMatches, whyNotPublish, whyNotSubscribe, type Identity } from "./access.ts";
import type { Connection, Connector, ConnectOptions, Delivery, PublishOptions } from "./broker.ts";
import { publishChain } from "./chain.ts";
import { keepRetained } from "./door.ts";

export interface InProcess {
  readonly connector: Connector;
  /** Ends one connection without a goodbye, so that its will is published. False when there is none of this client id. */
  cut(clientId: string, why: string): boolean;
  /** Ends all of them; their wills are not published, because it is the broker that leaves. */
  endAll(why: string): void;
}

interface Local extends Connection {
  end(why: string): void;
  cut(why: string): void;
}

export function inProcessClients(parts: {
  readonly aedes: Aedes;
  readonly prefix: string;
  readonly retained: Map<string, Buffer>;
  readonly log: Log;
}): InProcess {
  const { aedes, prefix, retained, log } = parts;
  const publish = publishChain(aedes);
  const connections = new Map<string, Local>();
  const identity: Identity = { username: managerUsername, pool: "", role: "manager" };
  let left: string | undefined;

  const send = async (topic: string, payload: Uint8Array, options: PublishOptions): Promise<void> => {
    const retain = options.retain ?? false;
    const why = whyNotPublish(identity, prefix, { topic, payloadBytes: payload.length, retain });
    if (why !== undefined) throw new Error(`not published to ${topic}: ${why}`);
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    if (retain) keepRetained(retained, topic, bytes);
    await publish({ topic, payload: bytes, qos: options.qos, retain });
  };

  const connect = async (options: ConnectOptions, signal: AbortSignal): Promise<Connection> => {
    if (signal.aborted) throw new Error("not connected: no longer wanted");
    if (left !== undefined) throw new Error(`not connected: ${left}`);
    connections.get(options.clientId)?.cut("another connection took over the client id");
    const forget = (): void => {
      if (connections.get(options.clientId) === local) connections.delete(options.clientId);
    };
    const local = open({
      aedes,
      log,
      send,
      retained,
      options,
      forget,
      mayHold: (filter, held) => whyNotSubscribe(identity, prefix, filter, held),
    });
    connections.set(options.clientId, local);
    return local;
  };

  return {
    connector: { connect },
    cut(clientId, why) {
      const local = connections.get(clientId);
      local?.cut(why);
      return local !== undefined;
    },
    endAll(why) {
      left = why;
      for (const local of connections.values()) local.end(why);
    },
  };
}

interface LocalParts {
  readonly aedes: Aedes;
  readonly log: Log;
  readonly send: Connection["publish"];
  readonly retained: ReadonlyMap<string, Buffer>;
  readonly options: ConnectOptions;
  readonly forget: () => void;
  readonly mayHold: (filter: string, held: ReadonlySet<string>) => string | undefined;
}

function ended(why: string): Error {
  return new Error(`the connection ended: ${why}`);
}

function open({ aedes, log, send, retained, options, forget, mayHold }: LocalParts): Local {
  const closed = Promise.withResolvers<string>();
  // Each publish is rejected by name when the connection ends: a race against `closed` would keep every publish in memory.
  const pending = new Set<(error: Error) => void>();
  const held = new Set<string>();
  let endedWhy: string | undefined;

  const take = (delivery: Delivery): void => {
    if (endedWhy === undefined) options.take(delivery);
  };
  const onPacket = (packet: AedesPublishPacket, done: () => void): void => {
    take({ topic: packet.topic, payload: packet.payload as Buffer, retained: false });
    done();
  };
  const end = (why: string): void => {
    if (endedWhy !== undefined) return;
    endedWhy = why;
    forget();
    for (const filter of held) aedes.unsubscribe(filter, onPacket, () => undefined);
    for (const reject of pending) reject(ended(why));
    closed.resolve(why);
  };

  return {
    closed: closed.promise,
    end,
    cut(why) {
      if (endedWhy !== undefined) return;
      end(why);
      const { will } = options;
      if (will)
        send(will.topic, will.payload, { qos: 1, retain: will.retain }).catch((err: unknown) =>
          log.warn({ err, topic: will.topic }, "a will was not published"),
        );
    },
    publish(topic, payload, publishOptions) {
      if (endedWhy !== undefined) return Promise.reject(ended(endedWhy));
      return new Promise((resolve, reject) => {
        pending.add(reject);
        send(topic, payload, publishOptions)
          .then(resolve, reject)
          .finally(() => pending.delete(reject));
      });
    },
    async subscribe(filter) {
      if (endedWhy !== undefined) throw ended(endedWhy);
      const why = mayHold(filter, held);
      if (why !== undefined) throw new Error(`not subscribed to ${filter}: ${why}`);
      const fresh = !held.has(filter);
      held.add(filter);
      if (fresh) await new Promise<void>((granted) => aedes.subscribe(filter, onPacket, granted));
      for (const [topic, payload] of retained) if (filterMatches(filter, topic)) take({ topic, payload, retained: true });
    },
    async close() {
      end("closed by this side");
    },
  };
}
