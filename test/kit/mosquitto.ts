/** A real Mosquitto with the files of deploy/mosquitto and users as the product makes them. */
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { addClient, mosquittoPasswd } from "../../broker/credentials.ts";
import { brokerServer, deployed, serverFolder, whyMissing, type BrokerServer, type BrokerUsers } from "./broker-server.ts";
import { freePorts } from "./ports.ts";

export const mosquittoMissing = whyMissing("mosquitto");

export interface MosquittoPlan extends BrokerUsers {
  /** Lines of its configuration to be replaced by others. */
  readonly instead?: readonly (readonly [string, string])[];
  /** Pools beside `default`, whose topics its workers may use. */
  readonly pools?: readonly string[];
}

/** `passwordFile`: one that is there already, instead of one for `workers`. */
export async function startMosquitto(plan: MosquittoPlan = {}, passwordFile?: string): Promise<BrokerServer> {
  const { workers = [], tls, instead = [], pools = [] } = plan;
  const folder = serverFolder("mosquitto");
  const credentials = join(folder, "credentials.json");
  const passwords = new Map([["manager", addClient(credentials, { username: "manager", pool: "default", role: "manager" })]]);
  for (const username of workers) passwords.set(username, addClient(credentials, { username, pool: "default", role: "worker" }));
  const [port = 0] = await freePorts(1);
  const fill: (readonly [string, string])[] = [
    ["listener 1883", `listener ${port} 127.0.0.1`],
    ["/mosquitto/users/passwd", passwordFile ?? join(folder, "passwd")],
    ["/mosquitto/config/acl", join(folder, "acl")],
    ...instead,
  ];
  if (tls) fill.push(["# certfile /mosquitto/config/server.pem", `certfile ${tls.cert}`]);
  if (tls) fill.push(["# keyfile /mosquitto/config/server.key", `keyfile ${tls.key}`]);
  if (tls?.ca !== undefined) fill.push(["# cafile /mosquitto/config/ca.pem", `cafile ${tls.ca}`]);
  if (tls?.ca !== undefined) fill.push(["# require_certificate true", "require_certificate true"]);
  // As root it would become another user, who cannot read this folder.
  writeFileSync(join(folder, "mosquitto.conf"), `${deployed("mosquitto/mosquitto.conf", fill)}user ${userInfo().username}\n`);
  writeFileSync(join(folder, "acl"), aclFor(pools), { mode: 0o600 });
  writeFileSync(join(folder, "passwd"), mosquittoPasswd(credentials), { mode: 0o600 });
  return await brokerServer({ program: "mosquitto", args: ["-c", join(folder, "mosquitto.conf")], folder, port, passwords });
}

/** The file of deploy/, with its block for each further pool, as it asks for. */
function aclFor(pools: readonly string[]): string {
  const text = deployed("mosquitto/acl", []);
  const block = text.split("\n").filter((line) => line.includes("/default/"));
  const more = pools.flatMap((pool) => block.map((line) => line.replace("/default/", `/${pool}/`)));
  return `${text}${more.map((line) => `${line}\n`).join("")}`;
}
