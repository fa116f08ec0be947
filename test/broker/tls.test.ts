import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readBrokerConfig } from "../../broker/config.ts";
import { addClient } from "../../broker/credentials.ts";
import { runBroker } from "../../broker/main.ts";
import { readManagerConfig } from "../../manager/config.ts";
import { silentLog } from "../../schema/kit/log.ts";
import { tlsContract, pemFile } from "../contract/tls.contract.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { natsMissing, startNats } from "../kit/nats.ts";

tlsContract("the embedded broker", async (tls) => {
  const folder = mkdtempSync(join(tmpdir(), "muster-tls-broker-"));
  const file = join(folder, "credentials.json");
  const passwords = {
    manager: addClient(file, { username: "manager", pool: "default", role: "manager" }),
    "edge-a": addClient(file, { username: "edge-a", pool: "default", role: "worker" }),
  };
  const env = {
    MUSTER_DATA_DIR: folder,
    MUSTER_BROKER_PORT: "0",
    MUSTER_BROKER_CERT: tls.cert,
    MUSTER_BROKER_KEY: tls.key,
    MUSTER_BROKER_CLIENT_CA: tls.ca,
  };
  const broker = await runBroker(readBrokerConfig([], env, folder), silentLog());
  return {
    port: broker.port,
    password: (username) => passwords[username as keyof typeof passwords],
    async [Symbol.asyncDispose]() {
      await broker.close();
      rmSync(folder, { recursive: true });
    },
  };
});
tlsContract("Mosquitto", (tls) => startMosquitto({ workers: ["edge-a"], tls }), mosquittoMissing);
tlsContract("NATS", (tls) => startNats({ workers: ["edge-a"], tls }), natsMissing);

test("whose clients shall show certificates must itself speak TLS, and be the broker that is asked", () => {
  const ca = { MUSTER_BROKER_CLIENT_CA: pemFile("ca.pem") };
  expect(() => readBrokerConfig([], ca, tmpdir())).toThrow(
    "MUSTER_BROKER_CLIENT_CA asks clients for certificates, which needs TLS",
  );
  expect(() => readManagerConfig([], { ...ca, MUSTER_BROKER_URL: "mqtts://host" }, tmpdir())).toThrow(
    "MUSTER_BROKER_CLIENT_CA is for an embedded broker, and this one is mqtts://host",
  );
});
