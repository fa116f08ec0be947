/** The broker, both ways: what one client says another one hears. */
import { once } from "node:events";
import { connect } from "node:net";
import type { Connection, Connector } from "../../broker/broker.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import type { BrokerClient } from "../../broker/config.ts";
import { managerUsername } from "../../schema/ids.ts";
import { pause } from "../../schema/kit/backoff.ts";
import { shortId } from "../../schema/kit/random.ts";
import { doctorLimits } from "../../schema/limits/doctor.ts";
import { uplinkTopic } from "../../schema/topics.ts";
import { fail, pass, skip, type Check, type Finding } from "./finding.ts";

/** A pool that nobody serves, so that no manager hears what is said here. */
const ownPool = "muster-doctor";

export type BrokerAsked =
  | { readonly kind: "embedded"; readonly host: string; readonly port: number }
  | { readonly kind: "remote"; readonly client: BrokerClient; readonly prefix: string };

export function brokerCheck(asked: BrokerAsked): Check {
  return {
    name: "broker",
    run: async (signal) => {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(doctorLimits.answerMs)]);
      return [asked.kind === "embedded" ? await listens(asked, patience) : await bothWays(asked, patience)];
    },
  };
}

/** Inside a manager there is no account to log in with: that workers are heard and obey shows the rest. */
async function listens({ host, port }: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<Finding> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect", { signal });
    return pass("broker", `the manager's own broker listens at ${host}:${port}`);
  } catch (error) {
    const why = signal.aborted ? "no answer" : error instanceof Error ? error.message : String(error);
    return fail(
      "broker",
      `the manager's own broker does not listen at ${host}:${port}: ${why}`,
      "It lives in the manager: start that one.",
    );
  } finally {
    socket.destroy();
  }
}

async function bothWays({ client, prefix }: Extract<BrokerAsked, { kind: "remote" }>, signal: AbortSignal): Promise<Finding> {
  if (client.password === "")
    return skip(
      "broker",
      `the broker at ${client.url} was not asked: there is no password for ${client.username}`,
      "Give MUSTER_BROKER_PASSWORD as the manager has it.",
    );
  const open: Connection[] = [];
  try {
    await sayAndHear(mqttConnector(client), prefix, signal, open);
    return pass("broker", `what is said at ${client.url} is heard there`);
  } catch (error) {
    return fail(
      "broker",
      brokerTrouble(client.url, error, signal.aborted && open.length < 2),
      "Does it run, and does it let the manager in and read and write its topics (deploy/)?",
    );
  } finally {
    await Promise.all(open.map((connection) => connection.close()));
  }
}

/** `late`: patience was over before there was a connection, which the error itself can only call given up. */
export function brokerTrouble(url: string, error: unknown, late: boolean): string {
  if (late) return `the broker at ${url} does not answer within ${doctorLimits.answerMs / 1_000} s`;
  const said = error instanceof Error ? error.message : String(error);
  return said.includes(url) ? said : `the broker at ${url}: ${said}`;
}

async function sayAndHear(connector: Connector, prefix: string, signal: AbortSignal, open: Connection[]): Promise<void> {
  const word = shortId();
  const topic = uplinkTopic(prefix, ownPool, word, "heartbeat");
  let heard = false;
  const as = async (take: () => void): Promise<Connection> => {
    const connection = await connector.connect({ clientId: `${managerUsername}.${shortId()}`, take }, signal);
    open.push(connection);
    return connection;
  };
  const listener = await as(() => {
    heard = true;
  });
  await listener.subscribe(topic);
  const speaker = await as(() => undefined);
  await speaker.publish(topic, Buffer.from(word), { qos: 1 });
  while (!heard && !signal.aborted) await pause(20, signal);
  if (!heard)
    throw new Error("it took a message and did not bring it to who had asked for it; may the manager read and write its topics?");
}
