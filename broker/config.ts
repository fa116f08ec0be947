/** What the broker's own command and every client of a broker are configured with. */
import { accessSync, constants, mkdirSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { KeyName, Values } from "../schema/kit/config/keys.ts";
import { absolute } from "../schema/kit/config/layers.ts";
import { deepFreeze, nameOf, readValues, refusal, type Read } from "../schema/kit/config.ts";
import type { BrokerConfig, BrokerTls } from "./settings.ts";

/** How a client reaches a broker over a socket; `mqttConnector` takes it as it is. */
export interface BrokerClient {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Reads the configuration of the stand-alone broker and makes its data folder. Throws `ConfigStop`. */
export function readBrokerConfig(
  argv: readonly string[] = process.argv.slice(2),
  env: Readonly<Record<string, string | undefined>> = process.env,
  cwd: string = process.cwd(),
): BrokerConfig {
  const read = readValues("broker", { argv, env, cwd });
  const problems: string[] = [];
  const { values } = read;
  const tls = embeddedTls(read, cwd, problems);
  if (values.production && !tls && !isLoopback(values.brokerHost)) problems.push(plainListener(read));
  if (problems.length > 0) throw refusal("broker", problems);
  return deepFreeze({
    dataDir: makeDataDir(absolute(cwd, values.dataDir)),
    host: values.brokerHost,
    port: values.brokerPort,
    prefix: values.topicPrefix,
    logLevel: values.logLevel,
    tls,
  });
}

/**
 * Makes the data folder for this user alone (0700); one that is there keeps the mode that its owner gave it. Throws a sentence
 * that names the setting when there can be none.
 */
export function makeDataDir(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
    return folder;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why: Readonly<Record<string, string>> = {
      EEXIST: "it is a file",
      ENOTDIR: "something above it is a file",
      EACCES: "this user may not write there",
      EPERM: "this user may not write there",
      EROFS: "its file system is read-only",
      ENOSPC: "its disk is full",
    };
    throw new Error(
      `the data folder ${folder} cannot be used: ${why[code ?? ""] ?? message}; set MUSTER_DATA_DIR to a folder that this user may write to`,
      { cause },
    );
  }
}

/** What the embedded broker shows its clients, and whose certificates it asks them for. Null: plain MQTT. */
export function embeddedTls(read: Read, cwd: string, problems: string[]): BrokerTls | null {
  const tls = certificateAndKey(read, cwd, problems);
  const clientCa = readPem(read, "brokerClientCa", cwd, problems);
  if (clientCa !== null && read.values.brokerCert === null) {
    problems.push(
      `${nameOf(read, "brokerClientCa")} asks clients for certificates, which needs TLS; give ${nameOf(read, "brokerCert")} and ${nameOf(read, "brokerKey")}`,
    );
  }
  return tls && { ...tls, ...(clientCa === null ? {} : { ca: clientCa }) };
}

/** A certificate and its key, both or none. */
function certificateAndKey(read: Read, cwd: string, problems: string[]): { readonly cert: string; readonly key: string } | null {
  const cert = readPem(read, "brokerCert", cwd, problems);
  const key = readPem(read, "brokerKey", cwd, problems);
  if ((cert === null) !== (key === null))
    problems.push(`${nameOf(read, "brokerCert")} and ${nameOf(read, "brokerKey")} are given both or not at all`);
  return cert === null || key === null ? null : { cert, key };
}

/** The client's side of a broker at `url`. Problems with its files and with keys that contradict each other are added to `problems`. */
export function brokerClient(read: Read, url: string, username: string, cwd: string, problems: string[]): BrokerClient {
  const { values } = read;
  const plain = url.startsWith("mqtt:");
  for (const name of ["brokerCa", "brokerCert", "brokerKey"] as const) {
    if (plain && values[name] !== null)
      problems.push(`${nameOf(read, name)} is for mqtts:, and the broker is ${url}; use mqtts: or drop it`);
  }
  const ca = readPem(read, "brokerCa", cwd, problems);
  const tls = certificateAndKey(read, cwd, problems);
  if (values.production && plain && !isLoopback(new URL(url).hostname)) {
    problems.push(`MUSTER_PRODUCTION refuses plain MQTT beyond this host: ${url}; use mqtts:`);
  }
  return { url, username, password: values.brokerPassword ?? "", ...(ca === null ? {} : { ca }), ...tls };
}

/** Why production refuses an embedded broker that listens beyond loopback without TLS. */
export function plainListener(read: Read): string {
  return (
    `MUSTER_PRODUCTION refuses plain MQTT beyond this host, and ${nameOf(read, "brokerHost")} is ${read.values.brokerHost}; ` +
    "give MUSTER_BROKER_CERT and MUSTER_BROKER_KEY"
  );
}

/** Whether only this host can reach an address or name. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/** A host as it stands in a URL. */
export function hostInUrl(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

function readPem(
  read: Read,
  name: KeyName & ("brokerCa" | "brokerCert" | "brokerKey" | "brokerClientCa"),
  cwd: string,
  problems: string[],
): string | null {
  const file: Values[typeof name] = read.values[name];
  if (file === null) return null;
  try {
    const text = readFileSync(absolute(cwd, file), "utf8");
    if (text.includes("-----BEGIN ")) return text;
    problems.push(`${nameOf(read, name)}: the file ${file} is not PEM`);
  } catch (error) {
    problems.push(
      `${nameOf(read, name)}: the file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return null;
}
