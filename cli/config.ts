/** What the `muster` command is configured with: the parts' own keys, because it looks at what they would use. */
import { userInfo } from "node:os";
import { join } from "node:path";
import { hostInUrl } from "../broker/config.ts";
import { absolute } from "../schema/kit/config/layers.ts";
import { deepFreeze, readValues, type Read } from "../schema/kit/config.ts";
import type { Key, WholeReader } from "../schema/kit/config/key.ts";
import { keys, type Values } from "../schema/kit/config/keys.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface CliConfig {
  readonly values: Values;
  readonly dataDir: string;
  /** `memory:`, `sqlite:<absolute path>` or `mysql://…` (with its password), as the manager would have it. */
  readonly databaseUrl: string;
  /** Where the API is, as this host reaches it; and a token, where one is known. */
  readonly apiUrl: string;
  readonly token: string | null;
  /** The texts that no output may show. */
  readonly secrets: readonly string[];
  /** The environment with what flags said above it, for the parts' own readers. */
  readonly env: Env;
  readonly cwd: string;
}

/** Reads every key, and makes nothing. Throws `ConfigStop`. */
export function readCliConfig(
  reader: WholeReader,
  argv: readonly string[],
  env: Env = process.env,
  cwd: string = process.cwd(),
): CliConfig {
  const read = readValues(reader, { argv, env, cwd });
  const { values } = read;
  const dataDir = absolute(cwd, values.dataDir);
  return deepFreeze({
    values,
    dataDir,
    databaseUrl: databaseOf(values.databaseUrl, dataDir, cwd),
    apiUrl: apiUrlOf(values),
    token: values.token ?? values.adminToken,
    secrets: secretsOf(read),
    env: withFlags(read, env),
    cwd,
  });
}

function withFlags(read: Read, env: Env): Env {
  const merged: Record<string, string | undefined> = { ...env };
  for (const [name, text] of read.flags) {
    const { env: variable, secret } = keys[name] as Key;
    delete merged[variable];
    delete merged[`${variable}_FILE`];
    const value: unknown = read.values[name];
    // A secret's flag named a file, and its value has been read from it.
    merged[variable] = secret && typeof value === "string" ? value : text;
  }
  return merged;
}

function databaseOf(url: string | null, dataDir: string, cwd: string): string {
  const inside = `sqlite:${join(dataDir, "muster.db")}`;
  if (url === null || url === "sqlite:") return inside;
  return url.startsWith("sqlite:") ? `sqlite:${absolute(cwd, url.slice("sqlite:".length))}` : url;
}

function apiUrlOf(values: Values): string {
  if (values.url !== null) return values.url.replace(/\/+$/, "");
  const { httpHost, httpPort } = values;
  // What listens everywhere is reached on loopback.
  const host = httpHost === "0.0.0.0" ? "127.0.0.1" : httpHost === "::" ? "[::1]" : hostInUrl(httpHost);
  return `http://${host}:${httpPort}`;
}

function secretsOf({ values }: Read): string[] {
  const found = [values.token, values.adminToken, values.brokerPassword].filter((one) => one !== null);
  for (const text of [values.databaseUrl, values.brokerUrl]) {
    const password = text === null ? undefined : /:\/\/[^:@/]*:([^@/]+)@/.exec(text)?.[1];
    if (password !== undefined) found.push(password, decodeURIComponent(password));
  }
  return found.filter((one) => one !== "");
}

/** Who is asking, for the record: the account that runs the command. */
export function readAccount(): string {
  return userInfo().username;
}
