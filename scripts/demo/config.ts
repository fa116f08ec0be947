/** Which database and broker the demo's own system shall use, when they are not its own. */
import { resolve } from "node:path";
import { parseBrokerUrl } from "../../broker/dial.ts";
import { managerUsername } from "../../schema/ids.ts";
import { keys } from "../../schema/kit/config/keys.ts";
import { refusal } from "../../schema/kit/config.ts";
import { readClientConfig, type ClientConfig } from "../config.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Everything that the demo's manager and worker may be told of a database and a broker. */
const passedOn = [
  "databaseUrl",
  "brokerUrl",
  "brokerUsername",
  "brokerPassword",
  "brokerCa",
  "brokerCert",
  "brokerKey",
  "topicPrefix",
] as const;

export interface Elsewhere {
  /** Settings for the environment of manager and worker; the broker's URL without a user. */
  readonly settings: Readonly<Record<string, string>>;
  /** A database is given. */
  readonly database: boolean;
  /** Null: the broker is the demo's own. */
  readonly broker: {
    readonly url: string;
    /** Both clients log in as this user; its password is in the settings. Null: each under its own name, for a broker that lets anybody in. */
    readonly username: string | null;
  } | null;
}

/** A system that is there, or what the demo's own shall use; undefined: nothing of anybody else's. */
export type DemoConfig =
  | { readonly client: ClientConfig }
  | { readonly client?: never; readonly elsewhere: Elsewhere | undefined };

/** Reads MUSTER_URL and MUSTER_TOKEN, or what is given of a database and a broker. Throws `ConfigStop`. */
export function readDemoConfig(env: Env = process.env, cwd: string = process.cwd()): DemoConfig {
  // A broker's URL with a user in it is no setting for anybody but the demo.
  const client = readClientConfig("demo", { ...env, MUSTER_BROKER_URL: undefined }, cwd);
  return client ? { client } : { elsewhere: readElsewhere(env, cwd) };
}

/**
 * Reads MUSTER_DATABASE_URL and MUSTER_BROKER_URL, either or both, with what belongs to them; undefined when neither is given.
 * Only here the broker's URL may carry a user: `mqtt://user:password@host:port`. Throws `ConfigStop`.
 */
function readElsewhere(env: Env, cwd: string): Elsewhere | undefined {
  const settings: Record<string, string> = {};
  for (const name of passedOn) {
    const { env: variable, kind } = keys[name];
    const text = env[variable];
    if (text !== undefined && text !== "") settings[variable] = kind === keys.brokerCa.kind ? resolve(cwd, text) : text;
    const file = env[`${variable}_FILE`];
    if (file !== undefined && file !== "") settings[`${variable}_FILE`] = resolve(cwd, file);
  }
  const given = (variable: string): boolean => variable in settings || `${variable}_FILE` in settings;
  const { MUSTER_BROKER_URL: brokerText } = settings;
  const remote = brokerText !== undefined && brokerText !== "embedded";
  if (!remote && !given("MUSTER_DATABASE_URL")) return undefined;
  const database = given("MUSTER_DATABASE_URL");
  if (!remote) return { settings, database, broker: null };
  const { url, username, password } = splitUrl(brokerText);
  settings["MUSTER_BROKER_URL"] = url;
  if (username !== null) settings["MUSTER_BROKER_USERNAME"] = username;
  if (password !== null) settings["MUSTER_BROKER_PASSWORD"] = password;
  const hasPassword = given("MUSTER_BROKER_PASSWORD");
  const user = settings["MUSTER_BROKER_USERNAME"] ?? (hasPassword ? managerUsername : null);
  if (user !== null && !hasPassword)
    throw refusal("demo", [
      `the broker's user ${user} has no password; give MUSTER_BROKER_URL=mqtt://${user}:<password>@host:port`,
    ]);
  return { settings, database, broker: { url, username: user } };
}

function splitUrl(text: string): { readonly url: string; readonly username: string | null; readonly password: string | null } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) throw refusal("demo", ["MUSTER_BROKER_URL is not one; it takes mqtt://… or mqtts://…"]);
  try {
    const [username, password] = [url.username, url.password].map((part) => (part === "" ? null : decodeURIComponent(part)));
    url.username = "";
    url.password = "";
    return { url: parseBrokerUrl(url.href).url, username: username ?? null, password: password ?? null };
  } catch (error) {
    throw refusal("demo", [`MUSTER_BROKER_URL: ${(error as Error).message}`]);
  }
}
