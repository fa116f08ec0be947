/** What a client with a worker's password tries beyond its own topics: 200 tries, each a publish, a retained one, a will or a subscription. */
import type { Will } from "../../broker/broker.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { commandsTopic, uplinkKinds, uplinkTopic } from "../../schema/topics.ts";
import { bytes, hear, type Heard } from "../broker/rig.ts";
import type { BrokerAt } from "../kit/together.ts";
import { makeWire } from "../kit/wire.ts";

export interface Attack {
  readonly broker: BrokerAt;
  readonly username: string;
  readonly prefix: string;
  readonly victim: string;
}

/** Ten topics that are none of its business. */
export function foreignTopics(prefix: string, victim: string): string[] {
  return [
    ...uplinkKinds.map((kind) => uplinkTopic(prefix, "default", victim, kind)),
    commandsTopic(prefix, "default", victim),
    uplinkTopic(prefix, "other", victim, "status"),
    uplinkTopic(prefix, "other", victim, "hello"),
    `${prefix}/v2/default/${victim}/up/hello`,
    `elsewhere/${victim}`,
  ];
}

/** Tries; returns the connections that hold whatever subscription the broker granted, still open. */
export async function attack(plan: Attack): Promise<Heard[]> {
  const { prefix, username, victim } = plan;
  const targets = foreignTopics(prefix, victim);
  for (let round = 0; round < 5; round += 1) {
    for (const retain of [false, true]) await publishAll(plan, targets, retain);
    for (const topic of targets) await die(plan, { topic, payload: bytes("evil will"), retain: round % 2 === 0 });
  }
  const trees = ["#", `${prefix}/#`, `${prefix}/v1/#`, "+/+/+/+/+/+", "$SYS/#", `$share/g/${prefix}/v1/#`];
  const wider = [`${prefix}/v1/+/+/down/+`, `${prefix}/v1/default/+/down/commands`, `${prefix}/v1/default/${victim}/#`];
  const filters = [...targets, ...trees, ...wider, `${prefix}/v1/default/${username}/up/+`];
  const holding: Heard[] = [];
  // Each filter alone on a connection, the last one kept, then all that are granted on one.
  for (let round = 0; round < 2; round += 1) for (const filter of filters) holding.push(...(await subscribe(plan, [filter])));
  return [...holding, ...(await subscribe(plan, filters))];
}

async function enter({ broker, username }: Attack, will?: Will, port = broker.port): Promise<Heard> {
  const client = mqttConnector({ url: `mqtt://127.0.0.1:${port}`, username, password: broker.password(username) });
  return await hear(client, username, will);
}

/** A broker that has just cut it may turn it away for a moment, when it comes again under the same name. */
async function enterAgain(plan: Attack): Promise<Heard> {
  return await enter(plan).catch(() => enter(plan));
}

async function publishAll(plan: Attack, topics: readonly string[], retain: boolean): Promise<void> {
  let connection: Heard | undefined;
  for (const topic of topics) {
    connection ??= await enterAgain(plan);
    const taken = await connection.publish(topic, bytes("evil"), { qos: 1, retain }).then(
      () => true,
      () => false,
    );
    // A broker may cut who tries; the next try is a new connection.
    if (!taken) connection = undefined;
  }
  await connection?.close();
}

/** Connects with a will, unless the broker refuses that, and dies. */
async function die(plan: Attack, will: Will): Promise<void> {
  const wire = await makeWire(plan.broker.port);
  const connection = await enter(plan, will, wire.port).catch(() => undefined);
  wire.cut();
  await connection?.closed;
}

async function subscribe(plan: Attack, filters: readonly string[]): Promise<Heard[]> {
  const connection = await enterAgain(plan);
  const granted = await Promise.allSettled(filters.map((filter) => connection.subscribe(filter)));
  if (granted.some(({ status }) => status === "fulfilled")) return [connection];
  await connection.close();
  return [];
}
