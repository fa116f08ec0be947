import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addClient, openCredentials } from "../../broker/credentials.ts";
import { protocolContract, protocolWorkers, type ProtocolBroker } from "../contract/protocol.contract.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { natsMissing, startNats } from "../kit/nats.ts";
import { startBroker } from "./rig.ts";

protocolContract("the embedded broker", startEmbedded);
protocolContract("Mosquitto", () => startMosquitto({ workers: protocolWorkers }), mosquittoMissing);
protocolContract("NATS", () => startNats({ workers: protocolWorkers }), natsMissing);

async function startEmbedded(): Promise<ProtocolBroker> {
  const folder = mkdtempSync(join(tmpdir(), "muster-embedded-"));
  const file = join(folder, "credentials.json");
  const passwords = new Map([["manager", addClient(file, { username: "manager", pool: "default", role: "manager" })]]);
  for (const username of protocolWorkers) passwords.set(username, addClient(file, { username, pool: "default", role: "worker" }));
  const broker = await startBroker({ credentials: openCredentials(file), prefix: "muster" });
  return {
    port: broker.port,
    password: (username) => passwords.get(username) ?? "",
    async [Symbol.asyncDispose]() {
      await broker.close();
      rmSync(folder, { recursive: true });
    },
  };
}
