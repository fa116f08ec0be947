/** A subscriber of `#` on the broker, which writes down what it hears. It may miss what is said while its own connection is down. */
import { keepConnected } from "../../broker/session.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { silentLog } from "../../schema/kit/log.ts";
import type { BrokerServer } from "../kit/broker-server.ts";
import type { Heard, History } from "./history.ts";

export interface Overhearing {
  close(): Promise<void>;
}

export function overhear(broker: Pick<BrokerServer, "port" | "password">, history: History): Overhearing {
  const stop = new AbortController();
  const connector = mqttConnector({
    url: `mqtt://127.0.0.1:${broker.port}`,
    username: "manager",
    password: broker.password("manager"),
  });
  const done = keepConnected({
    connector,
    connectOptions: () => ({
      clientId: "overhears",
      take: ({ topic, payload }) => history.note(heardOf(topic, Buffer.from(payload).toString("utf8"))),
    }),
    onUp: (connection) => connection.subscribe("#"),
    onDown: () => undefined,
    backoff: { firstMs: 10, maxMs: 100 },
    random: () => 1,
    log: silentLog(),
    signal: stop.signal,
  });
  return {
    async close() {
      stop.abort();
      await done;
    },
  };
}

/** What of a message the history keeps: of items that are about attempts, which kind, which attempt, and its end. */
function heardOf(topic: string, text: string): Heard {
  const [, workerId = "", , what = ""] = topic.split("/").slice(2);
  const plain = { kind: "message", topic, bytes: text.length } as const;
  if (what !== "commands" && what !== "reports") return plain;
  try {
    const { items } = JSON.parse(text) as { items: Record<string, any>[] };
    const kept = items.map(({ kind, attempt, end }) => ({
      kind: String(kind),
      ...(attempt === undefined ? {} : { attempt: String(attempt) }),
      ...(end === undefined ? {} : { end }),
    }));
    return { kind: what, workerId, items: kept };
  } catch {
    return plain;
  }
}
