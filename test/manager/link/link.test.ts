import { afterEach, expect, test } from "vitest";
import { memoryBroker, type MemoryBroker } from "../../../broker/memory.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { uplinkTopic, type UplinkKind } from "../../../schema/topics.ts";
import { Link, type LinkDeps } from "../../../manager/link/link.ts";
import { Outbox } from "../../../manager/link/outbox.ts";
import { hear, type Heard } from "../../broker/rig.ts";
import { until } from "../../kit/until.ts";
import { hello } from "../engine/rig.ts";

interface Rig {
  readonly broker: MemoryBroker;
  readonly link: Link;
  readonly worker: Heard;
  /** Kinds of messages that engines and intake were given, with their pool. */
  readonly taken: string[];
  /** Pools that this manager leads. */
  readonly led: Set<string>;
  say(kind: UplinkKind, message: unknown, pool?: string): Promise<void>;
}

let link: Link | undefined;
afterEach(async () => await link?.stop());

async function rig(): Promise<Rig> {
  const broker = memoryBroker({ dice: { below: () => 0 } });
  const taken: string[] = [];
  const led = new Set<string>();
  const engineOf = (pool: string) => ({
    get lead() {
      return led.has(pool) ? {} : undefined;
    },
    post(input: { kind: string }) {
      taken.push(`${pool}:${input.kind}`);
      return true;
    },
  });
  link = new Link({
    connector: broker.connector("manager"),
    clientId: "manager",
    prefix: "t",
    engines: new Map(["default", "east"].map((pool) => [pool, engineOf(pool)])) as unknown as LinkDeps["engines"],
    outbox: new Outbox("t", () => undefined),
    intake: { take: (pool: string) => taken.push(`${pool}:logs`) } as unknown as LinkDeps["intake"],
    log: silentLog(),
    random: () => 0,
  });
  const worker = await hear(broker.connector("edge-a"), "edge-a");
  link.start();
  await until("the link to be up", () => link?.state.up);
  const say = async (kind: UplinkKind, message: unknown, pool = "default"): Promise<void> => {
    await worker.publish(uplinkTopic("t", pool, "edge-a", kind), Buffer.from(JSON.stringify(message)), {
      qos: 1,
      retain: kind === "status",
    });
  };
  return { broker, link, worker, taken, led, say };
}

const status = { st: "on", ep: "AAAAAAAAAAAA.1.BBBBBBBBBBBB", cn: 1 };
const logs = {
  v: 1,
  epoch: status.ep,
  connection: 1,
  mono: 1,
  attempt: "a",
  start: 1,
  stream: "stdout",
  offset: 0,
  bytes: "eA==",
};
const introduction = (hello("edge-a") as { message: unknown }).message;

test("a follower hears nothing, stores nothing and counts nothing as dropped", async () => {
  const it = await rig();
  await it.say("hello", introduction);
  await it.say("logs", logs);
  it.link.lead("default");
  expect([it.taken, it.link.figures.received, it.link.figures.overflow, it.link.figures.unreadable]).toEqual([[], 0, 0, 0]);
});

test("a new leader hears its pool at once, its workers' last statuses too, and no other pool", async () => {
  const it = await rig();
  await it.say("status", status);
  await it.say("status", status, "east");
  it.led.add("default");
  it.link.lead("default");
  await until("the retained status", () => it.taken.length > 0);
  await it.say("logs", logs);
  await it.say("logs", logs, "east");
  expect(it.taken).toEqual(["default:status", "default:logs"]);
});

test("what still comes after the lead has ended goes no further, and a new connection does not ask for it", async () => {
  const it = await rig();
  it.led.add("default");
  it.link.lead("default");
  await it.say("hello", introduction);
  await until("the hello", () => it.taken.length === 1);
  it.led.delete("default");
  it.link.lead("default");
  await it.say("logs", logs);
  await it.say("hello", introduction);
  await it.say("hello", "no hello at all");
  expect(it.taken).toEqual(["default:hello"]);
  expect([it.link.figures.overflow, it.link.figures.unreadable]).toEqual([0, 0]);
  const { received } = it.link.figures;
  it.broker.control.refuse("away");
  it.broker.control.cut("manager");
  await until("it to be down", () => !it.link.state.up);
  it.broker.control.refuse();
  await until("it to be up again", () => it.link.state.up);
  await it.say("logs", logs);
  expect(it.link.figures.received).toBe(received);
});

test("a lead that begins while there is no connection is heard with the next one", async () => {
  const it = await rig();
  it.broker.control.refuse("away");
  it.broker.control.cut("manager");
  await until("it to be down", () => !it.link.state.up);
  it.led.add("east");
  it.link.lead("east");
  it.broker.control.refuse();
  await until("it to be up again", () => it.link.state.up);
  await it.say("logs", logs, "east");
  expect(it.taken).toEqual(["east:logs"]);
});
