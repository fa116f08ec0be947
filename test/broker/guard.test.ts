import { randomInt } from "node:crypto";
import { connect, Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { EmbeddedBroker } from "../../broker/embedded.ts";
import { guardStream, packetMeter } from "../../broker/guard.ts";
import { brokerLimits } from "../../schema/limits.ts";
import { commandsTopic, downlinkFilter, uplinkFilter, uplinkTopic } from "../../schema/topics.ts";
import { until } from "../kit/until.ts";
import { bytes, hear, overTcp, passwordOf, prefix, startBroker, text } from "./rig.ts";

describe("packet meter", () => {
  const bounds = { firstPacketBytes: 10, packetBytes: 1_000 };

  test("bounds of exactly the allowed length pass, one more is answered with the length", () => {
    expect(packetMeter(bounds)(packet(0x10, 10))).toBeUndefined();
    expect(packetMeter(bounds)(packet(0x10, 11))).toBe(11);
    const meter = packetMeter(bounds);
    expect(meter(packet(0x10, 10))).toBeUndefined();
    expect(meter(packet(0x30, 1_000))).toBeUndefined();
    expect(meter(packet(0x30, 1_001))).toBe(1_001);
  });

  test("it finds the borders however the bytes are cut", () => {
    const stream = Buffer.concat([
      packet(0x10, 0),
      packet(0x30, 127),
      packet(0x30, 128),
      packet(0xc0, 0),
      packet(0x30, 999),
      packet(0x30, 5_000).subarray(0, 3),
    ]);
    for (let round = 0; round < 200; round += 1) {
      const meter = packetMeter(bounds);
      const seen: (number | undefined)[] = [];
      for (let at = 0; at < stream.length;) {
        const step = 1 + randomInt(60);
        seen.push(meter(stream.subarray(at, at + step)));
        at += step;
      }
      expect(seen.filter((length) => length !== undefined)).toEqual([5_000]);
      expect(seen.at(-1)).toBe(5_000);
    }
  });

  test("a length of five bytes is malformed", () => {
    expect(packetMeter({ firstPacketBytes: 2 ** 30, packetBytes: 2 ** 30 })(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80))).toBe(
      Number.POSITIVE_INFINITY,
    );
  });
});

test("a client may be behind by the bound on bytes before the broker waits for it", () => {
  // A socket whose other end never reads and whose kernel buffers nothing.
  const socket = new Duplex({ read: () => undefined, write: () => undefined });
  const guarded = guardStream(socket as Socket, () => undefined);
  expect(guarded.write(Buffer.alloc(brokerLimits.outboundBytes - 1))).toBe(true);
  expect(guarded.write(Buffer.alloc(1))).toBe(false);
  guarded.destroy();
});

describe("the embedded broker's guards", () => {
  let broker: EmbeddedBroker;
  beforeEach(async () => {
    broker = await startBroker();
  });
  afterEach(() => broker.close());

  test("a packet of 30 MB is cut at its header, before it is buffered, and others go on", async () => {
    const m = await hear(overTcp(broker, "manager"), "manager");
    await m.subscribe(uplinkFilter(prefix, "default"));
    const socket = await rawClient(broker.port, "edge-a");
    const ended = new Promise((resolve) => socket.once("close", resolve));
    socket.write(packet(0x32, 30_000_000).subarray(0, 1_000));
    await ended;
    expect(broker.figures()).toMatchObject({ oversizedPackets: 1 });
    await until("the broker to have let go of it", () => broker.figures().connected === 1);
    const other = await hear(overTcp(broker, "edge-b"), "edge-b");
    await other.publish(uplinkTopic(prefix, "default", "edge-b", "reports"), bytes("fine"), { qos: 1 });
    await until("the other's message", () => m.deliveries.length === 1);
    expect(text(m.deliveries[0])).toBe("fine");
  });

  test("before CONNECT the bound is far smaller", async () => {
    const socket = connect(broker.port, "127.0.0.1");
    const ended = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.write(packet(0x10, brokerLimits.connectBytes + 1));
    await ended;
    expect(broker.figures()).toMatchObject({ oversizedPackets: 1, connected: 0 });
  });

  test(
    "a subscriber that reads nothing stalls nobody: its messages are dropped beyond a bound, and counted",
    { timeout: 30_000 },
    async () => {
      const m = await hear(broker.connector(), "manager");
      await m.subscribe(uplinkFilter(prefix, "default"));
      const frozen = await rawClient(broker.port, "edge-a");
      frozen.write(subscribe(downlinkFilter(prefix, "default", "edge-a")));
      await new Promise((resolve) => frozen.once("data", resolve));
      frozen.pause();
      const live = await hear(overTcp(broker, "edge-b"), "edge-b");
      await live.subscribe(downlinkFilter(prefix, "default", "edge-b"));
      const large = new Uint8Array(60_000);
      for (let sent = 0; broker.figures().droppedDeliveries < 200; sent += 50) {
        expect(sent).toBeLessThan(2_000);
        const batch = Array.from({ length: 50 }, () => m.publish(commandsTopic(prefix, "default", "edge-a"), large, { qos: 1 }));
        await Promise.all(batch);
      }
      // More than the broker's slots are behind the frozen client now; the others do not notice.
      await m.publish(commandsTopic(prefix, "default", "edge-b"), bytes("ping"), { qos: 1 });
      await until("the command", () => live.deliveries.length === 1, 4_000);
      await live.publish(uplinkTopic(prefix, "default", "edge-b", "reports"), bytes("pong"), { qos: 1 });
      await until("the report", () => m.deliveries.length === 1, 4_000);
      frozen.destroy();
    },
  );

  test("a burst of large starts arrives whole, also at a worker that does not read for a moment", async () => {
    const m = await hear(broker.connector(), "manager");
    const worker = await rawClient(broker.port, "edge-a");
    worker.write(subscribe(downlinkFilter(prefix, "default", "edge-a")));
    await new Promise((resolve) => worker.once("data", resolve));
    worker.pause();
    const start = new Uint8Array(48_000);
    await Promise.all(
      Array.from({ length: 340 }, () => m.publish(commandsTopic(prefix, "default", "edge-a"), start, { qos: 1 })),
    );
    let received = 0;
    worker.on("data", (chunk: Buffer) => (received += chunk.length));
    worker.resume();
    await until("every byte", () => received >= 340 * start.length);
    expect(broker.figures().droppedDeliveries).toBe(0);
    worker.destroy();
  });

  test("small messages are sent at once at both ends", async () => {
    const nodelay = vi.spyOn(Socket.prototype, "setNoDelay");
    try {
      await hear(overTcp(broker, "edge-a"), "edge-a");
      // One socket at each end of the one connection, each told by name; the process may have others at work.
      const ours = (socket: Socket): boolean => [socket.localPort, socket.remotePort].includes(broker.port);
      const ends = nodelay.mock.contexts.map((socket, call) => ({ socket: socket as Socket, on: nodelay.mock.calls[call]?.[0] }));
      const told = ends.filter(({ socket }) => ours(socket));
      expect(told.map(({ on }) => on)).toEqual([true, true]);
      expect(new Set(told.map(({ socket }) => socket)).size).toBe(2);
    } finally {
      nodelay.mockRestore();
    }
  });

  test("more connections at once than the bucket holds are refused, and later ones are let in again", async () => {
    let mono = 0;
    await using slow = await startBroker({ clock: { now: () => ({ mono, wall: 0 }) } });
    const sockets: Socket[] = [];
    for (let n = 0; n < brokerLimits.connectBurst; n += 100) {
      sockets.push(...(await Promise.all(Array.from({ length: 100 }, (_, k) => rawClient(slow.port, `w-${n + k}`)))));
    }
    await expect(rawClient(slow.port, "one-too-many")).rejects.toThrow("closed");
    expect(slow.figures()).toMatchObject({ connected: brokerLimits.connectBurst, refusedConnects: 1 });
    mono += 1_000 / brokerLimits.connectsPerSecond;
    sockets.push(await rawClient(slow.port, "in-time"));
    for (const socket of sockets) socket.destroy();
  });
});

/** A packet of zeros with this first byte and remaining length. */
function packet(first: number, remainingBytes: number): Buffer {
  const header = [first];
  let rest = remainingBytes;
  do {
    header.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(Math.min(remainingBytes, 100_000))]);
}

function string(value: string): Buffer {
  return Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
}

function framed(first: number, body: Buffer): Buffer {
  return Buffer.concat([packet(first, body.length).subarray(0, body.length < 128 ? 2 : 3), body]);
}

function subscribe(filter: string): Buffer {
  return framed(0x82, Buffer.concat([Buffer.from([0, 1]), string(filter), Buffer.from([1])]));
}

/** A socket that has been let in, without an MQTT client on it; rejects when it is closed instead. */
function rawClient(port: number, username: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  const flags = 0b1100_0010; // username, password, clean session
  const variable = Buffer.from([0, 4, ...Buffer.from("MQTT"), 4, flags, 0, 60]);
  socket.write(framed(0x10, Buffer.concat([variable, string(username), string(username), string(passwordOf(username))])));
  return new Promise((resolve, reject) => {
    socket.on("error", () => undefined); // the close that follows is what is looked at
    socket.once("close", () => reject(new Error("closed")));
    socket.once("data", (connack: Buffer) =>
      connack[3] === 0 ? resolve(socket) : reject(new Error(`return code ${connack[3]}`)),
    );
  });
}
