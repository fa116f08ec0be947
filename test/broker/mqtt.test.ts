import { readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { Connector } from "../../broker/broker.ts";
import type { EmbeddedBroker } from "../../broker/embedded.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { uplinkFilter, uplinkTopic } from "../../schema/topics.ts";
import { freePorts } from "../kit/ports.ts";
import { until } from "../kit/until.ts";
import { bytes, hear, overTcp, passwordOf, prefix, startBroker, text } from "./rig.ts";

const secret = "the-secret-that-must-not-be-shown";
const never = new AbortController().signal;
const pem = (name: string): string => readFileSync(new URL(`tls/${name}`, import.meta.url), "utf8");
const tls = { cert: pem("server.pem"), key: pem("server.key") };

let undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const act of undo) await act();
  undo = [];
});

async function broker(options: Parameters<typeof startBroker>[0] = {}): Promise<EmbeddedBroker> {
  const started = await startBroker(options);
  undo.push(() => started.close());
  return started;
}

/** A server that does with a connection what a broker should not. */
async function listening(onSocket: (socket: Socket) => void): Promise<{ readonly port: number }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port };
}

async function failure(connector: Connector): Promise<string> {
  const error = await connector.connect({ clientId: "edge-a", take: () => undefined }, never).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as Error).message).not.toContain(secret);
  return (error as Error).message;
}

const plain = (port: number, password = secret): Connector =>
  mqttConnector({ url: `mqtt://127.0.0.1:${port}`, username: "edge-a", password });

describe("what cannot be connected says why, where, and never the password", () => {
  test("nothing listens", async () => {
    // One that was listened on just now could be somebody else's by the time that it is dialled, or its own caller's.
    const [port = 0] = await freePorts(1);
    expect(await failure(plain(port))).toBe(
      `no connection to the broker at mqtt://127.0.0.1:${port}: nothing listens there; is the broker running?`,
    );
  });

  test("a wrong password", async () => {
    const { port } = await broker();
    expect(await failure(plain(port))).toBe(
      `the broker at mqtt://127.0.0.1:${port} refused the connection: wrong username or password; a worker's password is made by \`npm run worker:add -- <id>\` beside the manager (MUSTER_BROKER_PASSWORD)`,
    );
  });

  test("an unknown host", async () => {
    // A label has at most 63 characters (RFC 1035, 2.3.4): no name server is asked, which may be slow or away.
    const name = `${"x".repeat(64)}.invalid`;
    expect(await failure(mqttConnector({ url: `mqtt://${name}`, username: "a", password: secret }))).toBe(
      `no connection to the broker at mqtt://${name}:1883: the host name is unknown here`,
    );
  });

  test("something that closes the connection", async () => {
    const { port } = await listening((socket) => socket.end());
    expect(await failure(plain(port))).toContain(
      `no connection to the broker at mqtt://127.0.0.1:${port}: it closed the connection`,
    );
  });

  test("something that is no MQTT broker", async () => {
    const { port } = await listening((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect(await failure(plain(port))).toContain(`no connection to the broker at mqtt://127.0.0.1:${port}: `);
  });

  test("a connection that is no longer wanted while nobody answers", async () => {
    const stop = new AbortController();
    const { port } = await listening((socket) => socket.once("data", () => stop.abort()));
    const connecting = plain(port).connect({ clientId: "edge-a", take: () => undefined }, stop.signal);
    await expect(connecting).rejects.toThrow("no longer wanted");
  });

  test.each([
    ["http://x", "must be mqtt://host:port"],
    ["x:1883", "must be mqtt://host:port"],
    ["mqtt://", "must be mqtt://host:port"],
    [`mqtt://edge-a:${secret}@x`, "must not contain a username or password"],
    ["mqtt://x/path", "must end after the port"],
  ])("the url %s", (url, sentence) => {
    expect(() => mqttConnector({ url, username: "a", password: secret })).toThrow(sentence);
    expect(() => mqttConnector({ url, username: "a", password: secret })).not.toThrow(secret);
  });
});

describe("over TLS", () => {
  const secure = (port: number, more: { ca?: string; cert?: string; key?: string } = {}): Connector =>
    mqttConnector({ url: `mqtts://127.0.0.1:${port}`, username: "edge-a", password: passwordOf("edge-a"), ...more });

  test("a broker whose authority is given is trusted, and messages pass", async () => {
    const started = await broker({ tls });
    const manager = await hear(started.connector(), "manager");
    await manager.subscribe(uplinkFilter(prefix, "default"));
    const worker = await hear(secure(started.port, { ca: pem("ca.pem") }), "edge-a");
    await worker.publish(uplinkTopic(prefix, "default", "edge-a", "reports"), bytes("secret"), { qos: 1 });
    await until("the message", () => manager.deliveries.length === 1);
    expect(text(manager.deliveries[0])).toBe("secret");
    await worker.close();
  });

  test("a broker whose authority is unknown is not talked to", async () => {
    const started = await broker({ tls });
    expect(await failure(secure(started.port))).toContain(
      `mqtts://127.0.0.1:${started.port}: its certificate is not signed by an authority that is trusted here`,
    );
    expect(started.figures().connects).toBe(0);
  });

  test("a broker that wants client certificates takes one of its authority and no other client", async () => {
    const started = await broker({ tls: { ...tls, ca: pem("ca.pem") } });
    expect(await failure(secure(started.port, { ca: pem("ca.pem") }))).toContain("no connection to the broker");
    expect(started.figures().connects).toBe(0);
    await hear(secure(started.port, { ca: pem("ca.pem"), cert: pem("client.pem"), key: pem("client.key") }), "edge-a");
    expect(started.figures().connects).toBe(1);
  });

  test("plain MQTT to a TLS port, and TLS to a plain port", async () => {
    const secured = await broker({ tls });
    expect(await failure(plain(secured.port))).toContain("no connection to the broker at mqtt://");
    const plainBroker = await broker();
    expect(await failure(secure(plainBroker.port))).toMatch(/^no connection to the broker at mqtts:\/\/\S+: it /);
  });

  test("certificates that are none stop at once", () => {
    expect(() => secure(1, { ca: "no PEM", cert: "no PEM", key: "no PEM" })).toThrow("is not PEM that can be used");
    expect(() => secure(1, { cert: pem("client.pem") })).toThrow("needs its key");
  });
});

describe("publishes", () => {
  test("at most 64 are on the wire, the others follow in order as they are acknowledged", async () => {
    let onTheWire = 0;
    let most = 0;
    const ids: number[] = [];
    // A broker that acknowledges only when nothing new has come in for a turn: the client must not run ahead of it.
    const { port } = await listening((socket) => {
      socket.once("data", () => {
        socket.write(Buffer.from([0x20, 2, 0, 0]));
        let unacked: Buffer[] = [];
        let rest: Buffer = Buffer.alloc(0);
        socket.on("data", (chunk: Buffer) => {
          rest = Buffer.concat([rest, chunk]);
          while (rest.length >= 2 && rest.length >= 2 + (rest[1] as number)) {
            const packet = rest.subarray(0, 2 + (rest[1] as number));
            rest = rest.subarray(packet.length);
            if ((packet[0] as number) >> 4 !== 3) continue;
            const at = 4 + packet.readUInt16BE(2);
            unacked.push(packet.subarray(at, at + 2));
            ids.push(Number(packet.subarray(at + 2).toString()));
            onTheWire += 1;
            most = Math.max(most, onTheWire);
          }
          setImmediate(() => {
            for (const id of unacked) socket.write(Buffer.from([0x40, 2, ...id]));
            onTheWire -= unacked.length;
            unacked = [];
          });
        });
      });
    });
    const connection = await plain(port).connect({ clientId: "edge-a", take: () => undefined }, never);
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => connection.publish("t", bytes(String(n)), { qos: 1 })));
    expect(ids).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(most).toBeLessThanOrEqual(64);
    expect(most).toBeGreaterThan(1);
    await connection.close();
  });

  test("those that wait reject when the broker goes, and so does every later one", async () => {
    const { port } = await listening((socket) => {
      socket.once("data", () => {
        socket.write(Buffer.from([0x20, 2, 0, 0]));
        socket.once("data", () => socket.destroy());
      });
    });
    const connection = await plain(port).connect({ clientId: "edge-a", take: () => undefined }, never);
    const settled = await Promise.allSettled(Array.from({ length: 200 }, () => connection.publish("t", bytes("x"), { qos: 1 })));
    expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(200);
    const why = await connection.closed;
    expect(why).toContain(`mqtt://127.0.0.1:${port}`);
    await expect(connection.publish("t", bytes("x"), { qos: 0 })).rejects.toThrow(why);
  });

  test("a broker that reads nothing does not hold up a goodbye for ever", async () => {
    const { port } = await listening((socket) => {
      socket.once("data", () => {
        socket.write(Buffer.from([0x20, 2, 0, 0]));
        socket.pause();
      });
    });
    const connection = await plain(port).connect({ clientId: "edge-a", take: () => undefined }, never);
    const publishes = Promise.allSettled(
      Array.from({ length: 200 }, () => connection.publish("t", new Uint8Array(60_000), { qos: 0 })),
    );
    await connection.close();
    expect((await publishes).some(({ status }) => status === "rejected")).toBe(true);
  });

  test("to a topic that is denied are acknowledged, and the connection lives", async () => {
    const started = await broker();
    const worker = await hear(overTcp(started, "edge-a"), "edge-a");
    await worker.publish("elsewhere", bytes("x"), { qos: 1 });
    await worker.publish(uplinkTopic(prefix, "default", "edge-a", "reports"), bytes("x"), { qos: 1 });
    expect(started.figures().deniedPublishes).toBe(1);
  });
});
