/** The wire over a real socket, on MQTT.js. Nothing of MQTT.js' own reconnecting, storing or resubscribing is used. */
import type { Socket } from "node:net";
import { MqttClient, type IClientOptions } from "mqtt";
import { brokerLimits, wireLimits } from "../schema/limits.ts";
import type { Connection, Connector, ConnectOptions, PublishOptions } from "./broker.ts";
import "./packets.ts";
import { checkTlsFiles, openSocket, parseBrokerUrl, whyFailed, type BrokerAddress, type TlsFiles } from "./dial.ts";
import { publishWindow, type PublishWindow } from "./window.ts";

export interface MqttConnectorOptions extends TlsFiles {
  /** `mqtt://host[:port]` (1883) or `mqtts://host[:port]` (8883). */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly keepaliveSeconds?: number;
  readonly maxPayloadBytes?: number;
}

/**
 * Connects to a broker by MQTT 3.1.1, one client and one clean session per connection. Throws a sentence when the url
 * or the certificates cannot be used; the connector's `connect` rejects with a sentence that names the url and never the password.
 */
export function mqttConnector(options: MqttConnectorOptions): Connector {
  const address = parseBrokerUrl(options.url);
  checkTlsFiles(options);
  return { connect: (wanted, signal) => connect(options, address, wanted, signal) };
}

function connect(
  options: MqttConnectorOptions,
  address: BrokerAddress,
  wanted: ConnectOptions,
  signal: AbortSignal,
): Promise<Connection> {
  if (signal.aborted) return Promise.reject(new Error(`not connected to ${address.url}: no longer wanted`));
  return new Promise((resolve, reject) => {
    let opened: Opened | undefined;
    let failure: unknown;
    // The socket is dialled from inside the constructor, so that every handler is there before the first byte comes back.
    const client = new MqttClient(() => openSocket(address, options), clientOptions(options, wanted));
    const giveUp = (): void => {
      failure = new Error("no longer wanted");
      client.end(true);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    client.on("message", (topic, payload, packet) => wanted.take({ topic, payload, retained: packet.retain }));
    client.on("error", (error) => {
      failure ??= error;
      // MQTT.js tells of some errors and leaves the socket open; here each of them is the end of the connection.
      client.end(true);
    });
    client.on("connect", () => {
      signal.removeEventListener("abort", giveUp);
      opened = open(client, options.maxPayloadBytes ?? wireLimits.payloadBytes);
      resolve(opened.connection);
    });
    client.on("close", () => {
      signal.removeEventListener("abort", giveUp);
      const why = whyFailed(address, failure, opened !== undefined);
      if (opened) opened.ended(why);
      else reject(new Error(why, { cause: failure }));
      client.end(true);
    });
  });
}

function clientOptions(options: MqttConnectorOptions, wanted: ConnectOptions): IClientOptions {
  const { will } = wanted;
  return {
    protocolVersion: 4,
    clientId: wanted.clientId,
    username: options.username,
    password: options.password,
    keepalive: options.keepaliveSeconds ?? brokerLimits.keepaliveSeconds,
    connectTimeout: brokerLimits.connectTimeoutMs,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    ...(will ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: will.retain } } : {}),
  };
}

interface Opened {
  readonly connection: Connection;
  ended(why: string): void;
}

function open(client: MqttClient, maxPayloadBytes: number): Opened {
  const closed = Promise.withResolvers<string>();
  let endedWhy: string | undefined;
  let saidGoodbye = false;
  const window: PublishWindow = publishWindow(({ topic, payload, qos, retain }, done) => {
    client.publish(topic, Buffer.from(payload.buffer, payload.byteOffset, payload.length), { qos, retain }, (error) =>
      done(error ?? undefined),
    );
  });

  const publish = (topic: string, payload: Uint8Array, { qos, retain = false }: PublishOptions): Promise<void> => {
    if (endedWhy !== undefined) return Promise.reject(new Error(`the connection ended: ${endedWhy}`));
    // A broker that cuts us for a large packet would get it again after each reconnect, for ever.
    if (payload.length > maxPayloadBytes)
      return Promise.reject(
        new Error(`not published to ${topic}: ${payload.length} bytes are over the bound of ${maxPayloadBytes}`),
      );
    return window.publish({ topic, payload, qos, retain });
  };
  const subscribe = (filter: string): Promise<void> => {
    if (endedWhy !== undefined) return Promise.reject(new Error(`the connection ended: ${endedWhy}`));
    return new Promise((resolve, reject) => {
      client.subscribe(filter, { qos: 1 }, (error, granted) => {
        const refused =
          error?.message ?? (granted?.some(({ qos }) => (qos as number) >= 128) ? "the broker refused it" : undefined);
        if (refused === undefined) resolve();
        else reject(new Error(`not subscribed to ${filter}: ${endedWhy ?? refused}`, { cause: error }));
      });
    });
  };
  const end = (why: string): void => {
    if (endedWhy !== undefined) return;
    endedWhy = why;
    window.end(new Error(`the connection ended: ${why}`));
  };
  const close = async (): Promise<void> => {
    if (!saidGoodbye) {
      saidGoodbye = true;
      end("closed by this side");
      sayGoodbye(client);
    }
    await closed.promise;
  };
  return {
    connection: { publish, subscribe, closed: closed.promise, close },
    ended(why) {
      end(why);
      closed.resolve(endedWhy ?? why);
    },
  };
}

/**
 * MQTT.js' own graceful end waits for every publish to be acknowledged, for ever if need be, and its forced end sends no
 * DISCONNECT, so that the will would be published. So the packet [MQTT-3.14] is the last thing written to the socket.
 */
function sayGoodbye(client: MqttClient): void {
  const socket = client.stream as unknown as Socket;
  const cut = setTimeout(() => socket.destroy(), brokerLimits.goodbyeMs);
  socket.once("close", () => clearTimeout(cut));
  socket.end(Buffer.from([0xe0, 0x00]));
}
