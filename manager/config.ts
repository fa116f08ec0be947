import { join } from "node:path";
import {
  brokerClient,
  embeddedTls,
  hostInUrl,
  isLoopback,
  makeDataDir,
  plainListener,
  type BrokerClient,
} from "../broker/config.ts";
import type { BrokerTls } from "../broker/settings.ts";
import { managerUsername } from "../schema/ids.ts";
import { absolute } from "../schema/kit/config/layers.ts";
import { readTracing, type TracingSettings } from "../schema/kit/tracing/settings.ts";
import { deepFreeze, nameOf, readValues, refusal, type Read } from "../schema/kit/config.ts";
import { plainMariadb } from "./store/mariadb/address.ts";
import { shortId } from "../schema/kit/random.ts";
import { version } from "../schema/kit/version.ts";

/** A manager's configuration, complete and checked. */
export interface ManagerConfig {
  /** Absolute, and there. */
  readonly dataDir: string;
  readonly production: boolean;
  readonly logLevel: string;
  /** Null: none is armed. */
  readonly failpoint: string | null;
  readonly httpHost: string;
  /** 0: any free port. */
  readonly httpPort: number;
  /** Where workers and clients reach the API. */
  readonly publicUrl: string;
  /** Where other managers reach this one; null: as `announcedAddress` has it. */
  readonly address: string | null;
  /** `memory:`, `sqlite:<absolute path>` or `mysql://…` (with its password). */
  readonly databaseUrl: string;
  readonly broker: { readonly kind: "embedded"; readonly tls: BrokerTls | null } | ({ readonly kind: "remote" } & BrokerClient);
  /** Where the embedded broker listens. */
  readonly brokerHost: string;
  readonly brokerPort: number;
  readonly topicPrefix: string;
  readonly pools: readonly string[];
  /** The name of one of Muster's own placements, or the absolute path of a module. */
  readonly placement: string;
  readonly adminToken: string | null;
  /** For a manager that only visits a database: its credentials are those of this file, and the database's stay as they are. */
  readonly credentialsFile?: string;
  /** Null: no spans are made. */
  readonly tracing: TracingSettings | null;
  readonly timing: {
    readonly heartbeatMs: number;
    readonly unreachableIntervals: number;
    readonly startTtlIntervals: number;
    readonly workerLostIntervals: number;
    readonly leaseRenewMs: number;
    readonly leaseStillMs: number;
  };
  readonly limits: { readonly waitingRuns: number; readonly logStreamBytes: number };
}

/** Reads a manager's configuration and makes its data folder. Throws `ConfigStop`. */
export function readManagerConfig(
  argv: readonly string[] = process.argv.slice(2),
  env: Readonly<Record<string, string | undefined>> = process.env,
  cwd: string = process.cwd(),
): ManagerConfig {
  const read = readValues("manager", { argv, env, cwd });
  const { values } = read;
  const dataDir = absolute(cwd, values.dataDir);
  const problems: string[] = timingProblems(read);
  const broker = brokerOf(read, cwd, problems);
  problems.push(...databaseProblems(read));
  if (values.production) problems.push(...productionProblems(read, broker));
  if (problems.length > 0) throw refusal("manager", problems);
  makeDataDir(dataDir);
  const { heartbeatMs, unreachableIntervals, startTtlIntervals, workerLostIntervals, leaseRenewMs, leaseStillMs } = values;
  return deepFreeze({
    dataDir,
    production: values.production,
    logLevel: values.logLevel,
    failpoint: values.failpoint,
    httpHost: values.httpHost,
    httpPort: values.httpPort,
    publicUrl: (values.managerUrl ?? `http://${hostInUrl(values.httpHost)}:${values.httpPort}`).replace(/\/+$/, ""),
    address: values.managerAddress,
    databaseUrl: databaseOf(values.databaseUrl, dataDir, cwd),
    broker,
    brokerHost: values.brokerHost,
    brokerPort: values.brokerPort,
    topicPrefix: values.topicPrefix,
    pools: values.pools,
    placement: values.placement,
    adminToken: values.adminToken,
    tracing: readTracing(env, {
      "service.name": "muster-manager",
      "service.version": version,
      "service.instance.id": `manager-${shortId()}`,
    }),
    timing: { heartbeatMs, unreachableIntervals, startTtlIntervals, workerLostIntervals, leaseRenewMs, leaseStillMs },
    limits: { waitingRuns: values.waitingRuns, logStreamBytes: values.logStreamBytes },
  });
}

function databaseOf(url: string | null, dataDir: string, cwd: string): string {
  if (url === null) return `sqlite:${join(dataDir, "muster.db")}`;
  return url.startsWith("sqlite:") ? `sqlite:${absolute(cwd, url.slice("sqlite:".length))}` : url;
}

/** A wrong URL of a database stops the start beside all other problems; its password is in no sentence. */
function databaseProblems(read: Read): string[] {
  const { databaseUrl, production } = read.values;
  try {
    const plain = plainMariadb(databaseUrl ?? "");
    if (plain === undefined || !production) return [];
    return [
      `MUSTER_PRODUCTION refuses a database beyond this host without TLS, and ${nameOf(read, "databaseUrl")} names ${plain}; ` +
        "give the file of its certificate authority: mysql://…?tlsCa=<file>",
    ];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function brokerOf(read: Read, cwd: string, problems: string[]): ManagerConfig["broker"] {
  const { values } = read;
  const url = values.brokerUrl ?? "embedded";
  if (url !== "embedded") {
    if (values.brokerClientCa !== null)
      problems.push(`${nameOf(read, "brokerClientCa")} is for an embedded broker, and this one is ${url}; tell that broker`);
    return { kind: "remote", ...brokerClient(read, url, values.brokerUsername ?? managerUsername, cwd, problems) };
  }
  if (values.brokerCa !== null)
    problems.push(`${nameOf(read, "brokerCa")} is for a broker at mqtts://…, and this manager's broker is embedded`);
  return { kind: "embedded", tls: embeddedTls(read, cwd, problems) };
}

function productionProblems(read: Read, broker: ManagerConfig["broker"]): string[] {
  const { values } = read;
  const problems: string[] = [];
  if (values.databaseUrl === "memory:")
    problems.push(`MUSTER_PRODUCTION refuses ${nameOf(read, "databaseUrl")}=memory:, which forgets everything`);
  if (!isLoopback(values.httpHost) && !values.managerUrl?.startsWith("https:")) {
    problems.push(
      `MUSTER_PRODUCTION refuses plain HTTP beyond this host, and ${nameOf(read, "httpHost")} is ${values.httpHost}; ` +
        "put a proxy that ends TLS before it and give its address as MUSTER_MANAGER_URL=https://…",
    );
  }
  if (broker.kind === "embedded" && !broker.tls && !isLoopback(values.brokerHost)) problems.push(plainListener(read));
  return problems;
}

/** Rule 11: times that do not hold together stop the start. Where an OS lock is the lease (rule 18), nothing is renewed. */
function timingProblems(read: Read): string[] {
  const { heartbeatMs, unreachableIntervals, startTtlIntervals, workerLostIntervals, leaseRenewMs, leaseStillMs } = read.values;
  const renewMs = /^(mysql|mariadb):/.test(read.values.databaseUrl ?? "") ? leaseRenewMs : 0;
  const startTtlMs = heartbeatMs * startTtlIntervals;
  const lostMs = heartbeatMs * workerLostIntervals;
  const problems: string[] = [];
  if (startTtlMs < 3 * heartbeatMs + renewMs) {
    const renewal = renewMs === 0 ? "" : ` and one lease renewal (${nameOf(read, "leaseRenewMs")})`;
    problems.push(
      `a start may be obeyed for ${startTtlMs} ms (${nameOf(read, "startTtlIntervals")} × ${nameOf(read, "heartbeatMs")}), which must be ` +
        `at least three heartbeats${renewal}: ${3 * heartbeatMs + renewMs} ms`,
    );
  }
  if (startTtlMs > lostMs / 2) {
    problems.push(
      `a start may be obeyed for ${startTtlMs} ms (${nameOf(read, "startTtlIntervals")}), which must be at most half of the time after ` +
        `which a worker is lost (${nameOf(read, "workerLostIntervals")}): ${lostMs / 2} ms`,
    );
  }
  if (unreachableIntervals >= workerLostIntervals) {
    problems.push(
      `${nameOf(read, "unreachableIntervals")} (${unreachableIntervals}) must be below ${nameOf(read, "workerLostIntervals")} (${workerLostIntervals})`,
    );
  }
  if (leaseStillMs < 2 * leaseRenewMs) {
    problems.push(
      `${nameOf(read, "leaseStillMs")} (${leaseStillMs}) must be at least twice ${nameOf(read, "leaseRenewMs")} (${leaseRenewMs})`,
    );
  }
  return problems;
}
