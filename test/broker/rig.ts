import type { ClientRole, ClientVerifier } from "../../broker/access.ts";
import type { Connection, Connector, Delivery, Will } from "../../broker/broker.ts";
import { startEmbeddedBroker, type EmbeddedBroker, type EmbeddedBrokerOptions } from "../../broker/embedded.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { silentLog } from "../../schema/kit/log.ts";

export const prefix = "t";

/** Everybody's password is `password-of-<username>`; every name but `manager` is a worker of the pool `default`. */
export const everybody: ClientVerifier = {
  verifyClient(username, password) {
    if (password !== passwordOf(username)) return undefined;
    const role: ClientRole = username === "manager" ? "manager" : "worker";
    return { pool: "default", role };
  },
};

export function passwordOf(username: string): string {
  return `password-of-${username}`;
}

/** An embedded broker on a free port of loopback. */
export function startBroker(options: Partial<EmbeddedBrokerOptions> = {}): Promise<EmbeddedBroker> {
  return startEmbeddedBroker({ host: "127.0.0.1", port: 0, credentials: everybody, prefix, log: silentLog(), ...options });
}

/** A client of it over TCP, with a user's password. */
export function overTcp(broker: EmbeddedBroker, username: string): Connector {
  return mqttConnector({ url: `mqtt://127.0.0.1:${broker.port}`, username, password: passwordOf(username) });
}

export interface Heard extends Connection {
  readonly deliveries: Delivery[];
}

/** Connects and keeps what it is delivered. */
export async function hear(connector: Connector, clientId: string, will?: Will): Promise<Heard> {
  const deliveries: Delivery[] = [];
  const connection = await connector.connect(
    { clientId, take: (delivery) => deliveries.push(delivery), ...(will ? { will } : {}) },
    new AbortController().signal,
  );
  return { ...connection, deliveries };
}

export function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

export function text(delivery: Delivery | undefined): string {
  return new TextDecoder().decode(delivery?.payload);
}
