/**
 * The wire, as managers and workers see it: at least once, in order per topic at best, and nothing kept (promise 6).
 * A resolved publish means that the broker took the message, not that anybody has or will.
 */

export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
}

export interface PublishOptions {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
}

/** Published by the broker when the connection ends without a goodbye. */
export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

export interface ConnectOptions {
  readonly clientId: string;
  readonly will?: Will;
  /** Every delivery, in order of arrival. Must return at once: record now, work later; it runs in the network's own turn. */
  readonly take: (delivery: Delivery) => void;
}

/** One connection, clean session, from CONNACK until it ends. It never reconnects: `keepConnected` makes a new one. */
export interface Connection {
  /** Resolves when the broker took it (PUBACK for QoS 1, written for QoS 0); rejects when the connection ends first or the payload passes the bound. */
  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void>;
  /** Resolves after SUBACK; rejects when the broker refuses. */
  subscribe(filter: string): Promise<void>;
  /** Resolves, once, with why it ended. */
  readonly closed: Promise<string>;
  /** Says goodbye, so that the will is not published, and ends. */
  close(): Promise<void>;
}

/** How to reach a broker: MQTT over a socket, the embedded broker in this process, or the simulated one. */
export interface Connector {
  /** Rejects with a sentence when there is no connection: refused, unreachable, bad password. */
  connect(options: ConnectOptions, signal: AbortSignal): Promise<Connection>;
}
