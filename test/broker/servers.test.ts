/** The contract on real brokers, with the configuration and the users of deploy/. */
import type { Connection, Connector } from "../../broker/broker.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { brokerContract, type BrokerUnderTest } from "../contract/broker.contract.ts";
import type { BrokerServer, BrokerUsers } from "../kit/broker-server.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { natsMissing, startNats } from "../kit/nats.ts";
import { makeWire, type Wire } from "../kit/wire.ts";

brokerContract("Mosquitto", () => underTest(startMosquitto), mosquittoMissing);
brokerContract("NATS", async () => ({ ...(await underTest(startNats, jailed)), noWillAtTakeover: true }), natsMissing);

/**
 * NATS closes the connection of a client that takes its own place twice within a second, after another second. So it may seem where a
 * goodbye is read after the next hello.
 */
const jailed = /closed the connection before it answered/;

/** The server, each client on a wire of its own that can be cut. A connection that fails as `again` says is tried once more, as agents do. */
async function underTest(start: (users: BrokerUsers) => Promise<BrokerServer>, again?: RegExp): Promise<BrokerUnderTest> {
  const server = await start({ workers: ["edge-a", "edge-b", "edge-c"] });
  const wires = new Map<string, Wire>();
  const connector = (username: string): Connector => ({
    async connect(options, signal) {
      const once = async (): Promise<Connection> => {
        const wire = await makeWire(server.port);
        wires.set(options.clientId, wire);
        const client = { url: `mqtt://127.0.0.1:${wire.port}`, username, password: server.password(username) };
        return await mqttConnector(client).connect(options, signal);
      };
      return await once().catch((error: Error) => {
        if (!again?.test(error.message)) throw error;
        return once();
      });
    },
  });
  return {
    prefix: "muster",
    manager: () => connector("manager"),
    worker: connector,
    cut: (clientId) => wires.get(clientId)?.cut(),
    async [Symbol.asyncDispose]() {
      for (const wire of wires.values()) wire.cut();
      await server[Symbol.asyncDispose]();
    },
  };
}
