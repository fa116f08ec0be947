/** A real nats-server with the files of deploy/nats and its MQTT listener. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { brokerServer, deployed, serverFolder, whyMissing, type BrokerServer, type BrokerUsers } from "./broker-server.ts";
import { freePorts } from "./ports.ts";

export const natsMissing = whyMissing("nats-server");

export async function startNats({ workers = [], tls }: BrokerUsers = {}): Promise<BrokerServer> {
  const folder = serverFolder("nats");
  const [port = 0, own = 0] = await freePorts(2);
  const passwords = new Map(["manager", ...workers].map((user) => [user, randomBytes(24).toString("hex")]));
  const fill: (readonly [string, string])[] = [
    ["127.0.0.1:4222", `127.0.0.1:${own}`],
    ["0.0.0.0:1883", `127.0.0.1:${port}`],
    ["/var/lib/nats", join(folder, "data")],
  ];
  if (tls?.ca !== undefined) {
    fill.push(["/etc/nats/server.pem", tls.cert], ["/etc/nats/server.key", tls.key], ["/etc/nats/ca.pem", tls.ca]);
    for (const line of ["tls {", "  cert_file:", "  key_file:", "  ca_file:", "  verify: true", "  timeout: 10", "}"])
      fill.push([`  # ${line}`, `  ${line}`]);
  }
  writeFileSync(join(folder, "nats.conf"), deployed("nats/nats.conf", fill));
  writeFileSync(join(folder, "users.conf"), users(passwords), { mode: 0o600 });
  return await brokerServer({ program: "nats-server", args: ["-c", join(folder, "nats.conf")], folder, port, passwords });
}

/** The shipped file, with its worker's block once for each worker. */
function users(passwords: ReadonlyMap<string, string>): string {
  const text = deployed("nats/users.conf", []);
  const block = /\n {4}\{\n {6}user: "edge-7"[\s\S]*?\n {4}\}/.exec(text)?.[0];
  if (block === undefined) throw new Error("deploy/nats/users.conf has no block for edge-7");
  const workers = [...passwords].filter(([user]) => user !== "manager");
  const blocks = workers.map(([user, password]) =>
    block.replaceAll("edge-7", user).replace("$MUSTER_WORKER_PASSWORD", JSON.stringify(password)),
  );
  return text.replace(block, blocks.join("")).replace("$MUSTER_MANAGER_PASSWORD", JSON.stringify(passwords.get("manager")));
}
