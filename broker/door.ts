/** The embedded broker's hooks: who comes in, and what becomes of what they publish and subscribe to. */
import type { Aedes, Client } from "aedes";
import { brokerLimits } from "../schema/limits.ts";
import type { Clock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { whyNotPublish, whyNotSubscribe, type ClientVerifier, type Identity } from "./access.ts";

/** What the broker has counted since it started. */
export interface Tally {
  connects: number;
  refusedConnects: number;
  deniedPublishes: number;
  deniedSubscribes: number;
  oversizedPackets: number;
  /** Messages that were not delivered because their client was too far behind. */
  droppedDeliveries: number;
}

export interface DoorParts {
  readonly credentials: ClientVerifier;
  readonly prefix: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly tally: Tally;
  /** Retained messages by topic; only statuses can be among them. */
  readonly retained: Map<string, Buffer>;
  /** True once the broker leaves: from then on it publishes no wills. */
  readonly leaving: () => boolean;
  readonly connected: (clientId: string) => Identity | undefined;
}

export interface Door {
  readonly hooks: Pick<Aedes, "preConnect" | "authenticate" | "authorizePublish" | "authorizeSubscribe" | "authorizeForward">;
  identityOf(client: Client): Identity | undefined;
  unsubscribed(client: Client, filters: readonly string[]): void;
}

/** CONNACK return codes [MQTT-3.2.2.3]. */
const identifierRejected = 2;
const serverUnavailable = 3;
const badPassword = 4;
const notAuthorized = 5;

/** Where denied messages go: outside of every prefix, so that nobody can subscribe to it. */
const nowhere = "denied";

export function makeDoor(parts: DoorParts): Door {
  const identities = new WeakMap<Client, Identity>();
  const filters = new WeakMap<Client, Set<string>>();
  return {
    hooks: {
      ...admission(parts, identities),
      authorizePublish: publishing(parts, identities),
      authorizeSubscribe: subscribing(parts, identities, filters),
      authorizeForward: forwarding(parts),
    },
    identityOf: (client) => identities.get(client),
    unsubscribed: (client, gone) => gone.forEach((filter) => filters.get(client)?.delete(filter)),
  };
}

function admission(parts: DoorParts, identities: WeakMap<Client, Identity>): Pick<Aedes, "preConnect" | "authenticate"> {
  const { tally, log } = parts;
  const admit = connectRate(parts.clock);
  const noteRefused = (clientId: string | null, why: string): void => {
    tally.refusedConnects += 1;
    if (worthALine(tally.refusedConnects)) log.warn({ clientId, count: tally.refusedConnects }, `refused a connection: ${why}`);
  };
  return {
    preConnect(_client, packet, done) {
      if (admit()) return done(null, true);
      noteRefused(packet.clientId, `more than ${brokerLimits.connectsPerSecond} connections in a second`);
      done(new Error("connections come too fast"), false);
    },
    authenticate(client, username, password, done) {
      const verdict = identify(parts, client, username, password);
      if ("identity" in verdict) {
        tally.connects += 1;
        identities.set(client, verdict.identity);
        return done(null, true);
      }
      noteRefused(client.id, verdict.why);
      done(Object.assign(new Error(verdict.why), { returnCode: verdict.returnCode }), false);
    },
  };
}

function publishing(
  { tally, log, prefix, retained, leaving }: DoorParts,
  identities: WeakMap<Client, Identity>,
): Aedes["authorizePublish"] {
  return (client, packet, done) => {
    const identity = client ? identities.get(client) : undefined;
    const asked = { topic: packet.topic, payloadBytes: Buffer.byteLength(packet.payload), retain: packet.retain };
    const why = identity ? whyNotPublish(identity, prefix, asked) : "nobody knows this client";
    // The broker publishes every will when it closes, which would look like the death of the whole fleet.
    if (why === undefined && !leaving()) {
      if (packet.retain) keepRetained(retained, packet.topic, packet.payload);
      return done(null);
    }
    if (why !== undefined) {
      tally.deniedPublishes += 1;
      if (worthALine(tally.deniedPublishes))
        log.warn(
          { clientId: client?.id, topic: packet.topic.slice(0, 200), count: tally.deniedPublishes },
          `denied a publish: ${why}`,
        );
    }
    // An error would close the socket, and clients then resend the same message for ever; MQTT 3.1.1 knows no refusal.
    packet.topic = nowhere;
    packet.payload = Buffer.alloc(0);
    packet.retain = false;
    done(null);
  };
}

function subscribing(
  { tally, log, prefix }: DoorParts,
  identities: WeakMap<Client, Identity>,
  filters: WeakMap<Client, Set<string>>,
): Aedes["authorizeSubscribe"] {
  return (client, subscription, done) => {
    const identity = identities.get(client);
    const held = filters.get(client) ?? new Set<string>();
    const why = identity ? whyNotSubscribe(identity, prefix, subscription.topic, held) : "nobody knows this client";
    if (why === undefined) {
      filters.set(client, held.add(subscription.topic));
      return done(null, subscription);
    }
    tally.deniedSubscribes += 1;
    if (worthALine(tally.deniedSubscribes)) {
      log.warn(
        { clientId: client.id, filter: subscription.topic.slice(0, 200), count: tally.deniedSubscribes },
        `denied a subscription: ${why}`,
      );
    }
    done(null, null);
  };
}

function forwarding({ tally, log }: DoorParts): Aedes["authorizeForward"] {
  return (client, packet) => {
    // A message to a client that is this far behind would hold a slot that all others need.
    if (!client.conn.writableNeedDrain) return packet;
    tally.droppedDeliveries += 1;
    if (worthALine(tally.droppedDeliveries))
      log.warn({ clientId: client.id, count: tally.droppedDeliveries }, "dropped a message to a client that does not read");
    return null;
  };
}

/** Keeps or, for an empty payload, forgets a retained message [MQTT-3.3.1-10]. */
export function keepRetained(retained: Map<string, Buffer>, topic: string, payload: string | Buffer): void {
  if (payload.length === 0) retained.delete(topic);
  else retained.set(topic, Buffer.from(payload));
}

type Verdict = { readonly identity: Identity } | { readonly why: string; readonly returnCode: number };

function identify(parts: DoorParts, client: Client, username: string | undefined, password: Buffer | undefined): Verdict {
  if (!username || !password?.length) return { why: "it gave no username and password", returnCode: notAuthorized };
  if (client.id.length > brokerLimits.clientIdChars)
    return { why: `its client id is longer than ${brokerLimits.clientIdChars}`, returnCode: identifierRejected };
  // A session that outlives its connection would be an unbounded queue here.
  if (!client.clean)
    return { why: "it asked for a persistent session; only clean sessions are served", returnCode: notAuthorized };
  let known: ReturnType<ClientVerifier["verifyClient"]>;
  try {
    known = parts.credentials.verifyClient(username, password.toString());
  } catch (error) {
    parts.log.error({ err: error }, "the credentials cannot be read, so nobody can connect");
    return { why: "the credentials cannot be read", returnCode: serverUnavailable };
  }
  if (!known) return { why: `bad password, or no client ${JSON.stringify(username.slice(0, 64))}`, returnCode: badPassword };
  if (known.role === "worker" && client.id !== username)
    return { why: "a worker's client id must be its username", returnCode: identifierRejected };
  const holder = parts.connected(client.id);
  if (holder && holder.username !== username)
    return { why: "its client id is in use by another client", returnCode: identifierRejected };
  return { identity: { username, pool: known.pool, role: known.role } };
}

/** A bucket of `connectBurst` connections that refills at `connectsPerSecond`; answers whether the next may come in. */
function connectRate(clock: Clock): () => boolean {
  let room: number = brokerLimits.connectBurst;
  let asOf = clock.now().mono;
  return () => {
    const { mono } = clock.now();
    room = Math.min(brokerLimits.connectBurst, room + ((mono - asOf) / 1_000) * brokerLimits.connectsPerSecond);
    asOf = mono;
    if (room < 1) return false;
    room -= 1;
    return true;
  };
}

/** The first ten of a kind and then each power of two: a flood must not become a flood of log lines. */
function worthALine(count: number): boolean {
  return count <= 10 || (count & (count - 1)) === 0;
}
