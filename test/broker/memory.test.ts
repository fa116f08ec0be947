import { expect, test } from "vitest";
import type { Delivery } from "../../broker/broker.ts";
import { memoryBroker, type MemoryBroker } from "../../broker/memory.ts";
import { uplinkFilter, uplinkTopic } from "../../schema/topics.ts";
import { bytes, hear, text, type Heard } from "./rig.ts";

/** The same course for the same seed (mulberry32). */
function seeded(seed: number): { below(n: number): number } {
  let state = seed;
  return {
    below(n) {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) % n;
    },
  };
}

const reports = uplinkTopic("t", "default", "edge-a", "reports");
const status = uplinkTopic("t", "default", "edge-a", "status");

async function pair(broker: MemoryBroker): Promise<{ manager: Heard; worker: Heard }> {
  const manager = await hear(broker.connector(), "manager");
  await manager.subscribe(uplinkFilter("t", "default"));
  const worker = await hear(broker.connector("edge-a"), "edge-a", { topic: status, payload: bytes("gone"), retain: true });
  return { manager, worker };
}

async function say(worker: Heard, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await worker.publish(reports, bytes(String(n)), { qos: 1 });
}

test("one seed gives one course of lost, doubled and late messages; another seed gives another", async () => {
  const course = async (seed: number): Promise<string[]> => {
    const broker = memoryBroker({ dice: seeded(seed) });
    const { manager, worker } = await pair(broker);
    broker.control.faults({ dropPercent: 20, repeatPercent: 20, holdPercent: 20 });
    await say(worker, 300);
    broker.control.release("shuffled");
    await Promise.resolve();
    return manager.deliveries.map(text);
  };
  const first = await course(1);
  expect(await course(1)).toEqual(first);
  expect(await course(2)).not.toEqual(first);
  const counts = new Map<string, number>();
  for (const n of first) counts.set(n, (counts.get(n) ?? 0) + 1);
  expect(counts.size).toBeLessThan(270);
  expect(counts.size).toBeGreaterThan(210);
  expect([...counts.values()].filter((count) => count === 2).length).toBeGreaterThan(30);
  expect(first).not.toEqual(first.toSorted((one, other) => Number(one) - Number(other)));
});

test("held messages wait until they are released, in order or shuffled, and are lost with their connection", async () => {
  const broker = memoryBroker({ dice: seeded(3) });
  const { manager, worker } = await pair(broker);
  broker.control.decide((clientId, { topic }) => (clientId === "manager" && topic === reports ? "hold" : undefined));
  await say(worker, 5);
  expect(manager.deliveries).toEqual([]);
  expect(broker.control.release()).toBe(5);
  await Promise.resolve();
  expect(manager.deliveries.map(text)).toEqual(["0", "1", "2", "3", "4"]);
  await say(worker, 2);
  await manager.close();
  expect(broker.control.release()).toBe(2);
  await Promise.resolve();
  expect(manager.deliveries).toHaveLength(5);
});

test("faults can be ended, and everything passes again", async () => {
  const broker = memoryBroker({ dice: seeded(4) });
  const { manager, worker } = await pair(broker);
  broker.control.faults({ dropPercent: 100 });
  await say(worker, 10);
  broker.control.faults();
  await say(worker, 3);
  expect(manager.deliveries.map(text)).toEqual(["0", "1", "2"]);
});

test("a restart ends everybody without wills and forgets what was retained and held", async () => {
  const broker = memoryBroker({ dice: seeded(5) });
  const { manager, worker } = await pair(broker);
  const seen: string[] = [];
  broker.control.watch(({ clientId, topic }) => seen.push(`${clientId} ${topic}`));
  await worker.publish(status, bytes("on"), { qos: 1, retain: true });
  broker.control.decide(() => "hold");
  await say(worker, 1);
  broker.control.restart();
  expect(await worker.closed).toBe("the broker has stopped");
  expect(await manager.closed).toBe("the broker has stopped");
  expect(broker.control.connected()).toEqual([]);
  broker.control.decide(undefined);
  expect(broker.control.release()).toBe(0);
  const later = await pair(broker);
  await Promise.resolve();
  expect(later.manager.deliveries).toEqual([]);
  expect(seen).toEqual([`edge-a ${status}`, `edge-a ${reports}`]);
});

test("connections are refused while it says so, and always under another client id than the connector's", async () => {
  const broker = memoryBroker({ dice: seeded(6) });
  broker.control.refuse("the broker is away");
  await expect(hear(broker.connector(), "edge-a")).rejects.toThrow("the broker is away");
  broker.control.refuse();
  await expect(hear(broker.connector("edge-b"), "edge-a")).rejects.toThrow("credentials of edge-b");
  await hear(broker.connector("edge-a"), "edge-a");
  expect(broker.control.connected()).toEqual(["edge-a"]);
  expect(broker.control.cut("edge-x")).toBe(false);
});

test("a delivery never comes inside the publisher's own call", async () => {
  const broker = memoryBroker({ dice: seeded(7) });
  const seen: Delivery[] = [];
  const connection = await broker
    .connector()
    .connect({ clientId: "both", take: (delivery) => seen.push(delivery) }, new AbortController().signal);
  await connection.subscribe(uplinkFilter("t", "default"));
  const publishing = connection.publish(reports, bytes("x"), { qos: 1 });
  expect(seen).toEqual([]);
  await publishing;
  expect(seen).toHaveLength(1);
});
