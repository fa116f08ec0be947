import { afterEach, describe, expect, test } from "vitest";
import { memoryBroker } from "../../broker/memory.ts";
import { silentLog } from "../../schema/kit/log.ts";
import { commandsTopic, workerRoot } from "../../schema/topics.ts";
import { Link } from "../../worker/link.ts";
import { until } from "../kit/until.ts";

const epoch = "aaaaaaaaaaaa.1.bbbbbbbbbbbb";
const links: Link[] = [];

afterEach(async () => {
  for (const link of links.splice(0)) await link.stop();
});

function rig() {
  const broker = memoryBroker({ dice: { below: () => 0 } });
  const seen: { readonly topic: string; readonly text: string; readonly retain: boolean }[] = [];
  broker.control.watch(({ topic, payload, retain }) =>
    seen.push({
      topic: topic.slice(workerRoot("m", "p", "w").length + 1),
      text: Buffer.from(payload).toString(),
      retain: retain ?? false,
    }),
  );
  const events: string[] = [];
  const link = new Link({
    connector: broker.connector("w"),
    prefix: "m",
    pool: "p",
    workerId: "w",
    epoch,
    up: (connection) => events.push(`up ${connection}`),
    down: () => events.push("down"),
    take: (payload) => events.push(`take ${Buffer.from(payload).toString()}`),
    random: () => 0.5,
    log: silentLog(),
    backoff: { firstMs: 1, maxMs: 2 },
  });
  links.push(link);
  return { link, broker, seen, events };
}

describe("Link", () => {
  test("each connection has the next number and a will that names it; commands reach the shell", async () => {
    const { link, broker, seen, events } = rig();
    link.start();
    await until("the first connection", () => link.connected);
    expect(link.connection).toBe(1);
    const manager = await broker
      .connector()
      .connect({ clientId: "manager", take: () => undefined }, new AbortController().signal);
    await manager.publish(commandsTopic("m", "p", "w"), Buffer.from("hello"), { qos: 1 });
    await manager.publish(`${workerRoot("m", "p", "w")}/down/other`, Buffer.from("strange"), { qos: 1 });
    await until("the command", () => events.includes("take hello"));
    broker.control.cut("w");
    await until("the second connection", () => link.connected && link.connection > 1);
    expect(events).toEqual(["up 1", "take hello", "down", `up ${link.connection}`]);
    expect(seen).toContainEqual({ topic: "up/status", text: JSON.stringify({ st: "gone", ep: epoch, cn: 1 }), retain: true });
  });

  test("says why there is no connection, and none once there is", async () => {
    const { link, broker } = rig();
    broker.control.refuse("the password is wrong");
    link.start();
    await until("the trouble to be told", () => link.trouble?.includes("the password is wrong"));
    broker.control.refuse();
    await until("a connection", () => link.connected);
    expect(link.trouble).toBeNull();
  });

  test("publishes on the worker's own topics; nothing without a connection, nothing that is too large", async () => {
    const { link, seen } = rig();
    await link.publish("reports", { early: true });
    link.start();
    await until("a connection", () => link.connected);
    await link.publish("reports", { a: 1 });
    await link.publish("reports", { big: "x".repeat(65_536) });
    await link.publish("status", { big: "x".repeat(160) });
    await link.publish("status", { st: "on" });
    expect(seen).toEqual([
      { topic: "up/reports", text: '{"a":1}', retain: false },
      { topic: "up/status", text: '{"st":"on"}', retain: true },
    ]);
  });

  test("leaves with `off` and a goodbye, and stays away", async () => {
    const { link, broker, seen, events } = rig();
    link.start();
    await until("a connection", () => link.connected);
    await link.leave();
    expect(seen).toEqual([{ topic: "up/status", text: JSON.stringify({ st: "off", ep: epoch, cn: 1 }), retain: true }]);
    expect(events).toEqual(["up 1", "down"]);
    expect(broker.control.connected()).toEqual([]);
  });

  test("rests when it is told to, and comes back by itself", async () => {
    const { link, events, seen } = rig();
    link.start();
    await until("a connection", () => link.connected);
    await link.restFor(50);
    await until("the second connection", () => events.includes("up 2"));
    expect(events).toEqual(["up 1", "down", "up 2"]);
    expect(seen.map((message) => message.text)).toEqual([JSON.stringify({ st: "off", ep: epoch, cn: 1 })]);
  });

  test("can be stopped while it rests", async () => {
    const { link } = rig();
    link.start();
    await until("a connection", () => link.connected);
    await link.restFor(3_600_000);
    await until("it to be away", () => !link.connected);
    await link.stop();
  });
});
