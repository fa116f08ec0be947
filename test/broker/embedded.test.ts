import { createServer, type AddressInfo } from "node:net";
import { MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSocket, parseBrokerUrl } from "../../broker/dial.ts";
import type { EmbeddedBroker } from "../../broker/embedded.ts";
import { brokerLimits } from "../../schema/limits.ts";
import { commandsTopic, downlinkFilter, uplinkFilter, uplinkKinds, uplinkTopic } from "../../schema/topics.ts";
import { until } from "../kit/until.ts";
import { bytes, everybody, hear, overTcp, passwordOf, prefix, startBroker, text } from "./rig.ts";

let broker: EmbeddedBroker;
beforeEach(async () => {
  broker = await startBroker();
});
afterEach(() => broker.close());

const never = new AbortController().signal;

/** A client that does what ours never would. */
function stranger(options: {
  clientId?: string;
  username?: string;
  password?: string;
  clean?: boolean;
  keepalive?: number;
  will?: { topic: string; payload: Buffer; qos: 0 | 1; retain: boolean };
}): MqttClient {
  const { port } = broker;
  return new MqttClient(() => openSocket(parseBrokerUrl(`mqtt://127.0.0.1:${port}`), {}), {
    reconnectPeriod: 0,
    protocolVersion: 4,
    ...options,
  });
}

function outcome(client: MqttClient): Promise<string> {
  return new Promise((resolve) => {
    client.on("error", (error) => resolve(`refused: ${(error as { code?: number }).code}`));
    client.on("close", () => resolve("closed"));
    client.on("connect", () => resolve("connected"));
  });
}

const credentialsOf = (username: string) => ({ clientId: username, username, password: passwordOf(username) });

describe("who is let in", () => {
  test("nobody without a username and password", async () => {
    expect(await outcome(stranger({ clientId: "edge-a" }))).toBe("refused: 5");
    expect(await outcome(stranger({ clientId: "edge-a", username: "edge-a" }))).toBe("refused: 5");
    expect(await outcome(stranger({ clientId: "edge-a", username: "edge-a", password: "" }))).toBe("refused: 5");
    expect(broker.figures()).toMatchObject({ connected: 0, refusedConnects: 3 });
  });

  test("nobody with another password", async () => {
    expect(await outcome(stranger({ clientId: "edge-a", username: "edge-a", password: passwordOf("edge-b") }))).toBe(
      "refused: 4",
    );
  });

  test("no worker under another client id, and nobody under one that another user holds", async () => {
    expect(await outcome(stranger({ ...credentialsOf("edge-a"), clientId: "edge-b" }))).toBe("refused: 2");
    const worker = await hear(overTcp(broker, "edge-b"), "edge-b");
    expect(await outcome(stranger({ ...credentialsOf("manager"), clientId: "edge-b" }))).toBe("refused: 2");
    await worker.publish(uplinkTopic(prefix, "default", "edge-b", "reports"), bytes("still here"), { qos: 1 });
  });

  test("no client id beyond the bound", async () => {
    expect(await outcome(stranger({ ...credentialsOf("manager"), clientId: "m".repeat(brokerLimits.clientIdChars + 1) }))).toBe(
      "refused: 2",
    );
  });

  test("no session that outlives its connection", async () => {
    expect(await outcome(stranger({ ...credentialsOf("edge-a"), clean: false }))).toBe("refused: 5");
  });

  test("nobody who wants no keepalive, or a longer one than the bound", async () => {
    expect(await outcome(stranger({ ...credentialsOf("edge-a"), keepalive: 0 }))).toBe("refused: 6");
    expect(await outcome(stranger({ ...credentialsOf("edge-a"), keepalive: brokerLimits.keepaliveSecondsMax + 1 }))).toBe(
      "refused: 6",
    );
  });

  test("nobody while the credentials cannot be read, and everybody again afterwards", async () => {
    let damaged = true;
    await using other = await startBroker({
      credentials: {
        verifyClient: (username, password) => {
          if (damaged) throw new Error("the credentials file is damaged");
          return everybody.verifyClient(username, password);
        },
      },
    });
    await expect(hear(overTcp(other, "edge-a"), "edge-a")).rejects.toThrow("not available now");
    damaged = false;
    await hear(overTcp(other, "edge-a"), "edge-a");
  });
});

test("200 attempts of one worker at another's topics: nothing of it is ever delivered, and the worker stays connected", async () => {
  const manager = await hear(broker.connector(), "manager");
  await manager.subscribe(`${prefix}/v1/#`);
  const victim = await hear(overTcp(broker, "edge-b"), "edge-b");
  await victim.subscribe(downlinkFilter(prefix, "default", "edge-b"));
  const attacker = await hear(overTcp(broker, "edge-a"), "edge-a");
  const evil = bytes("evil");
  const targets = [
    ...uplinkKinds.map((kind) => uplinkTopic(prefix, "default", "edge-b", kind)),
    commandsTopic(prefix, "default", "edge-b"),
    commandsTopic(prefix, "default", "edge-a"),
    uplinkTopic(prefix, "other", "edge-a", "reports"),
    `${prefix}/v1/default/edge-b`,
    "denied",
  ];
  const attempts: Promise<unknown>[] = [];
  for (const topic of targets) {
    for (const qos of [0, 1] as const) {
      for (const retain of [false, true]) {
        for (let n = 0; n < 4; n += 1) attempts.push(attacker.publish(topic, evil, { qos, retain }));
      }
    }
  }
  await Promise.all(attempts);
  expect(attempts).toHaveLength(160);
  const filters = [
    "#",
    "+/#",
    `${prefix}/#`,
    `${prefix}/v1/default/+/down/+`,
    downlinkFilter(prefix, "default", "edge-b"),
    commandsTopic(prefix, "default", "edge-b"),
    uplinkFilter(prefix, "default"),
    `${prefix}/v1/default/edge-a/#`,
    "denied",
    "$SYS/#",
  ];
  for (const filter of [...filters, ...filters]) await expect(attacker.subscribe(filter)).rejects.toThrow(filter);
  for (let n = 0; n < 20; n += 1) {
    const will = {
      topic: targets[n % targets.length] as string,
      payload: Buffer.from("evil will"),
      qos: 1 as const,
      retain: n % 2 === 0,
    };
    const client = stranger({ ...credentialsOf("edge-x"), will });
    expect(await outcome(client)).toBe("connected");
    expect(broker.kick("edge-x")).toBe(1);
    await until("the cut", () => !client.connected);
  }
  await until("200 denials", () => broker.figures().deniedPublishes === 180 && broker.figures().deniedSubscribes === 20);

  // Whatever went through would come before these.
  await attacker.publish(uplinkTopic(prefix, "default", "edge-a", "reports"), bytes("my own"), { qos: 1 });
  await manager.publish(commandsTopic(prefix, "default", "edge-b"), bytes("command"), { qos: 1 });
  await until("the honest messages", () => manager.deliveries.length >= 2 && victim.deliveries.length >= 1);
  expect(manager.deliveries.map(text).toSorted()).toEqual(["command", "my own"]);
  expect(victim.deliveries.map(text)).toEqual(["command"]);
  expect(attacker.deliveries).toEqual([]);
  const later = await hear(broker.connector(), "later");
  await later.subscribe(`${prefix}/v1/#`);
  expect(later.deliveries).toEqual([]);
});

test("5,000 in-process publishes of mixed quality arrive at a socket and in process, in order per topic", async () => {
  const local = await hear(broker.connector(), "manager");
  await local.subscribe(uplinkFilter(prefix, "default"));
  const worker = await hear(overTcp(broker, "edge-a"), "edge-a");
  await worker.subscribe(downlinkFilter(prefix, "default", "edge-a"));
  const expected: string[] = [];
  const publishes: Promise<void>[] = [];
  for (let n = 0; n < 5_000; n += 1) {
    expected.push(String(n));
    // Runs of one kind and changes between kinds, as an engine's commits make them.
    const qos = n % 7 < 3 || n > 4_000 ? 1 : 0;
    publishes.push(local.publish(commandsTopic(prefix, "default", "edge-a"), bytes(String(n)), { qos }));
    if (n % 10 === 0)
      publishes.push(
        local.publish(uplinkTopic(prefix, "default", "edge-a", "status"), bytes(String(n)), { qos: 1, retain: true }),
      );
  }
  await Promise.all(publishes);
  await until("all of them", () => worker.deliveries.length >= 5_000 && local.deliveries.length >= 500);
  expect(worker.deliveries.map(text)).toEqual(expected);
  expect(local.deliveries.map(text)).toEqual(expected.filter((n) => Number(n) % 10 === 0));
});

test("in-process publishes beyond the bound of what may wait reject by name", async () => {
  const local = await hear(broker.connector(), "manager");
  const topic = commandsTopic(prefix, "default", "edge-a");
  const settled = await Promise.allSettled(
    Array.from({ length: brokerLimits.publishQueue + 1 }, () => local.publish(topic, bytes("x"), { qos: 1 })),
  );
  const rejected = settled.filter(({ status }) => status === "rejected");
  expect(rejected).toHaveLength(1);
  expect(String((rejected[0] as PromiseRejectedResult).reason)).toContain(String(brokerLimits.publishQueue));
  await local.publish(topic, bytes("again"), { qos: 1 });
});

test("a publish that the broker has not taken when its connection ends rejects, in process as well", async () => {
  const local = await hear(broker.connector(), "manager");
  const publishing = local.publish(commandsTopic(prefix, "default", "edge-a"), bytes("x"), { qos: 1 });
  const ended = expect(publishing).rejects.toThrow("closed by this side");
  await local.close();
  await ended;
});

test("a filter that was given up makes room for another", async () => {
  const client = stranger(credentialsOf("edge-a"));
  expect(await outcome(client)).toBe("connected");
  const commands = commandsTopic(prefix, "default", "edge-a");
  await client.subscribeAsync(downlinkFilter(prefix, "default", "edge-a"));
  await expect(client.subscribeAsync(commands)).rejects.toThrow();
  await client.unsubscribeAsync(downlinkFilter(prefix, "default", "edge-a"));
  await client.subscribeAsync(commands);
  client.end(true);
});

test("in-process connections are held to the prefix, the sizes and filters that do not overlap", async () => {
  const local = await hear(broker.connector(), "manager");
  await expect(local.publish("elsewhere", bytes("x"), { qos: 1 })).rejects.toThrow("not under t/v1/");
  await expect(local.subscribe("$SYS/#")).rejects.toThrow("not under t/v1/");
  await local.subscribe(uplinkFilter(prefix, "default"));
  await local.subscribe(uplinkFilter(prefix, "default"));
  await expect(local.subscribe(uplinkTopic(prefix, "default", "edge-a", "status"))).rejects.toThrow("overlaps");
  await local.publish(uplinkTopic(prefix, "default", "edge-a", "status"), bytes("once"), { qos: 1 });
  await until("a delivery", () => local.deliveries.length > 0);
  expect(local.deliveries.map(text)).toEqual(["once"]);
});

test("when the broker leaves, managers learn that it is the broker: no worker's will is published", async () => {
  const order: string[] = [];
  const local = await broker
    .connector()
    .connect({ clientId: "manager", take: ({ topic }) => order.push(`local ${topic}`) }, never);
  await local.subscribe(uplinkFilter(prefix, "default"));
  const ends: Promise<unknown>[] = [];
  for (let n = 0; n < 20; n += 1) {
    const id = `edge-${n}`;
    const worker = await hear(overTcp(broker, id), id, {
      topic: uplinkTopic(prefix, "default", id, "status"),
      payload: bytes("gone"),
      retain: true,
    });
    ends.push(worker.closed.then(() => order.push("worker closed")));
  }
  const remote = await overTcp(broker, "manager").connect(
    { clientId: "manager.2", take: ({ topic }) => order.push(`remote ${topic}`) },
    never,
  );
  await remote.subscribe(uplinkFilter(prefix, "default"));
  const localEnd = local.closed.then((why) => order.push(why));
  await broker.close();
  await Promise.all([localEnd, remote.closed, ...ends]);
  expect(order[0]).toBe("the embedded broker has stopped");
  expect(order.slice(1)).toEqual(Array.from({ length: 20 }, () => "worker closed"));
  await expect(broker.connector().connect({ clientId: "manager", take: () => undefined }, never)).rejects.toThrow(
    "the embedded broker has stopped",
  );
});

test("closing does not wait for sockets that never say anything, and closing twice is closing once", async () => {
  const client = openSocket(parseBrokerUrl(`mqtt://127.0.0.1:${broker.port}`), {});
  await new Promise((resolve) => client.once("connect", resolve));
  const ended = new Promise((resolve) => client.once("close", resolve));
  await broker.close();
  await broker.close();
  await ended;
});

test("kick ends the connections of one username and publishes their wills", async () => {
  const manager = await hear(broker.connector(), "manager");
  await manager.subscribe(uplinkFilter(prefix, "default"));
  const a = await hear(overTcp(broker, "edge-a"), "edge-a", {
    topic: uplinkTopic(prefix, "default", "edge-a", "status"),
    payload: bytes("gone"),
    retain: true,
  });
  const b = await hear(overTcp(broker, "edge-b"), "edge-b");
  expect(broker.figures().connected).toBe(2);
  expect(broker.kick("edge-a")).toBe(1);
  expect(broker.kick("nobody")).toBe(0);
  await a.closed;
  await until("the will", () => manager.deliveries.length === 1);
  await b.publish(uplinkTopic(prefix, "default", "edge-b", "reports"), bytes("here"), { qos: 1 });
  expect(broker.figures().connected).toBe(1);
});

test("a port in use and a prefix that is none stop the start with a sentence", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as AddressInfo;
  await expect(startBroker({ port })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: another program listens there`);
  taken.close();
  for (const bad of ["", "$SYS", "a/#", "a b"]) await expect(startBroker({ prefix: bad })).rejects.toThrow("topic prefix");
});
