import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { SslOptions } from "mysql2";
import { hostInUrl, isLoopback } from "../../../broker/config.ts";

/** What the URL says. `shown` is the URL for logs and `/health`, without the password. */
export interface MariadbAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly shown: string;
  /** Files in PEM; null: without TLS. */
  readonly tls: { readonly ca: string; readonly cert: string | null; readonly key: string | null } | null;
}

const parameters = ["tlsCa", "tlsCert", "tlsKey"] as const;
const form = "mysql://user:password@host:port/database";

/**
 * Reads `mysql://user:password@host:port/database?tlsCa=<file>&tlsCert=<file>&tlsKey=<file>` (`mariadb://` is the same).
 * Throws a sentence that never shows the password.
 */
export function parseMariadbUrl(url: string): MariadbAddress {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (!parsed || !/^(mysql|mariadb):$/.test(parsed.protocol) || parsed.hostname === "") throw wrong(`is not of the form ${form}`);
  const database = decoded(parsed.pathname.slice(1), "database");
  const user = decoded(parsed.username, "user");
  if (user === "") throw wrong(`names no user; it must be of the form ${form}`);
  if (database === "" || database.includes("/")) throw wrong(`names no database; it must be of the form ${form}`);
  if (parsed.hash !== "") throw wrong("has a #; in a password it is written %23");
  const files = filesOf(parsed.searchParams);
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  const port = Number(parsed.port || 3306);
  return {
    host: decoded(host, "host"),
    port,
    user,
    password: decoded(parsed.password, "password"),
    database,
    shown: `mysql://${parsed.username}@${parsed.hostname}:${port}${parsed.pathname}`,
    tls: files.tlsCa === null ? null : { ca: files.tlsCa, cert: files.tlsCert, key: files.tlsKey },
  };
}

/**
 * Host and port of a MariaDB that the URL reaches without TLS over a network that others may listen on; undefined when it does
 * not, or when it names another database.
 */
export function plainMariadb(url: string): string | undefined {
  if (!/^(mysql|mariadb):/.test(url)) return undefined;
  const { host, port, tls } = parseMariadbUrl(url);
  return tls !== null || isLoopback(host) ? undefined : `${hostInUrl(host)}:${port}`;
}

/** What mysql2 needs for TLS: the server's certificate and its name are verified. Throws a sentence when a file cannot be used. */
export function tlsOptions(address: MariadbAddress): SslOptions | undefined {
  const { tls } = address;
  if (!tls) return undefined;
  return {
    ca: readPem("tlsCa", tls.ca),
    ...(tls.cert === null || tls.key === null ? {} : { cert: readPem("tlsCert", tls.cert), key: readPem("tlsKey", tls.key) }),
    rejectUnauthorized: true,
    verifyIdentity: true,
  };
}

function filesOf(search: URLSearchParams): Record<(typeof parameters)[number], string | null> {
  for (const name of search.keys()) {
    if (!parameters.some((known) => known === name))
      throw wrong(`has a parameter ${JSON.stringify(name)}, which is not known; there are ${parameters.join(", ")}`);
    if (search.getAll(name).length > 1) throw wrong(`has ${name} more than once`);
    if (search.get(name) === "") throw wrong(`has ${name} without a file`);
  }
  const [tlsCa = null, tlsCert = null, tlsKey = null] = parameters.map((name) => search.get(name));
  if ((tlsCert === null) !== (tlsKey === null)) throw wrong("has one of tlsCert and tlsKey; they are given both or not at all");
  if (tlsCert !== null && tlsCa === null) throw wrong("has tlsCert without tlsCa, by which the server is verified");
  return { tlsCa, tlsCert, tlsKey };
}

function decoded(part: string, what: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw wrong(`has a % in its ${what} that begins no escape; a % itself is written %25`);
  }
}

function readPem(parameter: string, file: string): string {
  let text: string;
  try {
    text = readFileSync(resolve(file), "utf8");
  } catch (error) {
    throw wrong(`has a ${parameter} that cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!text.includes("-----BEGIN ")) throw wrong(`has a ${parameter} that is not PEM: ${file}`);
  return text;
}

/** The URL itself is left out: it holds the password. */
function wrong(what: string): Error {
  return new Error(`MUSTER_DATABASE_URL ${what}.`);
}
