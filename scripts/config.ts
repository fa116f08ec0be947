/** What the scripts are configured with: the whole system at once, and clients of the API. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostInUrl } from "../broker/config.ts";
import { absolute } from "../schema/kit/config/layers.ts";
import { keys } from "../schema/kit/config/keys.ts";
import { deepFreeze, nameOf, readValues, refusal, type Read } from "../schema/kit/config.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The configuration of `npm start`: where things are, and the environment in which its children read their own. */
export interface StartConfig {
  readonly dataDir: string;
  readonly logLevel: string;
  readonly httpPort: number;
  readonly brokerPort: number;
  /** Where this host reaches the API and the broker. */
  readonly apiUrl: string;
  readonly brokerUrl: string;
  readonly workerId: string;
  readonly pool: string;
  readonly slots: number;
  readonly adminToken: string | null;
  /** Null: SQLite in the data folder. */
  readonly databaseUrl: string | null;
  /** The environment of both children. */
  readonly childEnv: Readonly<Record<string, string>>;
}

/** Reads what `npm start` is told; its manager and worker read the rest from `childEnv`. Throws `ConfigStop`. */
export function readStartConfig(
  argv: readonly string[] = process.argv.slice(2),
  env: Env = process.env,
  cwd: string = process.cwd(),
): StartConfig {
  const read = readValues("start", { argv, env, cwd });
  const { values } = read;
  const problems: string[] = [];
  for (const name of ["httpPort", "brokerPort"] as const) {
    if (values[name] === 0) problems.push(`${nameOf(read, name)} is 0, and the local worker must know the port; choose one`);
  }
  for (const name of ["brokerUrl", "brokerUsername", "brokerPassword"] as const) {
    if (values[name] !== null && values[name] !== "embedded") {
      problems.push(
        `${nameOf(read, name)} speaks of another broker, and npm start brings its own; use npm run manager and npm run worker`,
      );
    }
  }
  if (problems.length > 0) throw refusal("start", problems);
  const workerId = values.workerId ?? "local";
  const apiUrl = `http://${reachable(values.httpHost)}:${values.httpPort}`;
  const scheme = values.brokerCert === null ? "mqtt" : "mqtts";
  return deepFreeze({
    dataDir: absolute(cwd, values.dataDir),
    logLevel: values.logLevel,
    httpPort: values.httpPort,
    brokerPort: values.brokerPort,
    apiUrl,
    brokerUrl: `${scheme}://${reachable(values.brokerHost)}:${values.brokerPort}`,
    workerId,
    pool: values.pool,
    slots: values.workerSlots,
    adminToken: values.adminToken,
    databaseUrl: values.databaseUrl,
    childEnv: withFlags(read, env),
  });
}

/** The environment with what flags said above it. */
function withFlags(read: Read, env: Env): Record<string, string> {
  const child: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined) child[name] = value;
  for (const [name, text] of read.flags) {
    const { env: variable } = keys[name];
    delete child[`${variable}_FILE`];
    child[variable] = text;
  }
  return child;
}

/** An address to listen on as one to connect to: everything that listens everywhere is reached on loopback. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "[::1]" : hostInUrl(host);
}

/** Where the parts of Muster on this host would be. */
export interface HealthConfig {
  readonly dataDir: string;
  readonly apiUrl: string;
  readonly brokerHost: string;
  readonly brokerPort: number;
}

/** Reads where to look for a part of Muster. Throws `ConfigStop`. */
export function readHealthConfig(env: Env = process.env, cwd: string = process.cwd()): HealthConfig {
  const { values } = readValues("start", { argv: [], env, cwd });
  return deepFreeze({
    dataDir: absolute(cwd, values.dataDir),
    apiUrl: `http://${reachable(values.httpHost)}:${values.httpPort}`,
    brokerHost: reachable(values.brokerHost).replaceAll(/[[\]]/g, ""),
    brokerPort: values.brokerPort,
  });
}

/** What a script that writes credentials needs to know. */
export interface HostConfig {
  readonly dataDir: string;
  /** Null: SQLite in the data folder. */
  readonly databaseUrl: string | null;
  /** The broker as other hosts reach it, as far as this host knows. */
  readonly brokerHost: string;
  readonly brokerPort: number;
  readonly secure: boolean;
  readonly brokerUrl: string | null;
  readonly managerUrl: string | null;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly adminToken: string | null;
  readonly brokerPassword: string | null;
}

/** Reads the manager's keys from the environment and muster.yaml, for scripts that run beside it. Throws `ConfigStop`. */
export function readHostConfig(env: Env = process.env, cwd: string = process.cwd()): HostConfig {
  const { values } = readValues("manager", { argv: [], env, cwd });
  return deepFreeze({
    dataDir: absolute(cwd, values.dataDir),
    databaseUrl: values.databaseUrl,
    brokerHost: values.brokerHost,
    brokerPort: values.brokerPort,
    secure: values.brokerCert !== null,
    brokerUrl: values.brokerUrl === "embedded" ? null : values.brokerUrl,
    managerUrl: values.managerUrl,
    httpHost: values.httpHost,
    httpPort: values.httpPort,
    adminToken: values.adminToken,
    brokerPassword: values.brokerPassword,
  });
}

/** Which API a client speaks to; null when none was named. */
export interface ClientConfig {
  readonly url: string;
  readonly token: string;
}

/** Reads `MUSTER_URL` and `MUSTER_TOKEN`, both or none. Throws `ConfigStop`. */
export function readClientConfig(reader: string, env: Env = process.env, cwd: string = process.cwd()): ClientConfig | null {
  const { values } = readValues("client", { argv: [], env, cwd });
  if (values.url === null && values.token === null) return null;
  if (values.url === null || values.token === null)
    throw refusal(reader, ["MUSTER_URL and MUSTER_TOKEN are given both or not at all"]);
  return { url: values.url.replace(/\/+$/, ""), token: values.token };
}

/** The version of this tree. */
export function readVersion(): string {
  const text = readFileSync(join(import.meta.dirname, "../package.json"), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** The environment of a system of its own: what the caller's holds, without its Muster settings. */
export function environmentWithoutMuster(env: Env = process.env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((one): one is [string, string] => one[1] !== undefined && !one[0].startsWith("MUSTER_")),
  );
}
