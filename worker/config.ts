import { hostname } from "node:os";
import { brokerClient, hostInUrl, isLoopback, makeDataDir, type BrokerClient } from "../broker/config.ts";
import { managerUsername } from "../schema/ids.ts";
import { absolute, type Switch } from "../schema/kit/config/layers.ts";
import { deepFreeze, nameOf, readValues, refusal, type Read } from "../schema/kit/config.ts";
import { readTracing, type TracingSettings } from "../schema/kit/tracing/settings.ts";
import { version } from "../schema/kit/version.ts";
import { requestLimits } from "../schema/limits.ts";
import type { Labels } from "../schema/task.ts";

/** A worker's configuration, complete and checked. */
export interface WorkerConfig {
  /** Absolute, and there; the agent's own folder is `worker` in it. */
  readonly dataDir: string;
  readonly logLevel: string;
  /** Null: none is armed. */
  readonly failpoint: string | null;
  readonly workerId: string;
  readonly pool: string;
  readonly topicPrefix: string;
  readonly labels: Labels;
  /** Null: what the host has. */
  readonly capacity: { readonly slots: number; readonly memoryMb: number | null; readonly cpus: number | null };
  readonly broker: BrokerClient;
  /** Where large bodies are fetched; null: this worker takes none. Without a slash at its end. */
  readonly managerUrl: string | null;
  /** Absolute paths of third parties' drivers. */
  readonly drivers: readonly string[];
  /** Until the manager sends its own. */
  readonly settings: { readonly heartbeatMs: number; readonly startTtlMs: number; readonly workerLostMs: number };
  readonly limits: { readonly logSpoolBytes: number };
  /** Null: no spans are made. */
  readonly tracing: TracingSettings | null;
  /** Where the metrics are given; null: nowhere. Port 0: any free one. */
  readonly metrics: { readonly host: string; readonly port: number } | null;
  /** On leaving, the processes are stopped first. */
  readonly stopRuns: boolean;
  /** Asked for the health of the running agent, instead of being one. */
  readonly health: boolean;
}

const switches: readonly Switch[] = [
  { flag: "health", sentence: "Says in one sentence how the running agent is, and ends with 0 or 1." },
];

/** Reads a worker's configuration and makes its data folder. Throws `ConfigStop`. */
export function readWorkerConfig(
  argv: readonly string[] = process.argv.slice(2),
  env: Readonly<Record<string, string | undefined>> = process.env,
  cwd: string = process.cwd(),
): WorkerConfig {
  const read = readValues("worker", { argv, env, cwd }, switches);
  const { values } = read;
  const problems: string[] = [];
  const workerId = values.workerId ?? idFromHost(hostname());
  if (workerId === managerUsername)
    problems.push(`${nameOf(read, "workerId")} must not be ${managerUsername}: that name is the manager's own`);
  const broker = brokerClient(read, brokerUrlOf(read, problems), usernameOf(read, workerId, problems), cwd, problems);
  if (values.production && values.managerUrl?.startsWith("http:") && !isLoopback(new URL(values.managerUrl).hostname)) {
    problems.push(
      `MUSTER_PRODUCTION refuses plain HTTP beyond this host: ${nameOf(read, "managerUrl")} is ${values.managerUrl}; use https:`,
    );
  }
  if (values.production && values.metricsPort !== null && !isLoopback(values.metricsHost)) {
    problems.push(
      `MUSTER_PRODUCTION refuses plain HTTP beyond this host, and ${nameOf(read, "metricsHost")} is ${values.metricsHost}; ` +
        "leave it at 127.0.0.1 and put a proxy that ends TLS before it, or have a collector on this host read it",
    );
  }
  if (problems.length > 0) throw refusal("worker", problems);
  const { heartbeatMs, startTtlIntervals, workerLostIntervals } = values;
  return deepFreeze({
    dataDir: makeDataDir(absolute(cwd, values.dataDir)),
    logLevel: values.logLevel,
    failpoint: values.failpoint,
    workerId,
    pool: values.pool,
    topicPrefix: values.topicPrefix,
    labels: values.workerLabels,
    capacity: { slots: values.workerSlots, memoryMb: values.workerMemoryMb, cpus: values.workerCpus },
    broker,
    managerUrl: values.managerUrl?.replace(/\/+$/, "") ?? null,
    drivers: values.drivers,
    settings: { heartbeatMs, startTtlMs: heartbeatMs * startTtlIntervals, workerLostMs: heartbeatMs * workerLostIntervals },
    limits: { logSpoolBytes: values.logSpoolBytes },
    metrics: values.metricsPort === null ? null : { host: values.metricsHost, port: values.metricsPort },
    stopRuns: values.stopRuns,
    tracing: readTracing(env, {
      "service.name": "muster-worker",
      "service.version": version,
      "service.instance.id": workerId,
    }),
    health: read.switches.has("health"),
  });
}

/** A host's name as an id: its first label, other characters as dashes. */
export function idFromHost(host: string): string {
  const name = (host.split(".")[0] ?? "").replaceAll(/[^A-Za-z0-9_-]+/g, "-").slice(0, requestLimits.idChars);
  return name === "" ? "worker" : name;
}

function brokerUrlOf(read: Read, problems: string[]): string {
  const { brokerUrl, brokerHost, brokerPort } = read.values;
  const scheme = read.values.brokerCa === null ? "mqtt" : "mqtts";
  const local = `${scheme}://${hostInUrl(brokerHost)}:${brokerPort}`;
  if (brokerUrl !== "embedded") return brokerUrl ?? local;
  problems.push(
    `${nameOf(read, "brokerUrl")} is embedded, and only a manager has a broker inside; give a worker mqtt://… or mqtts://…`,
  );
  return local;
}

function usernameOf(read: Read, workerId: string, problems: string[]): string {
  const { brokerUsername } = read.values;
  if (brokerUsername !== null && brokerUsername !== workerId) {
    problems.push(
      `${nameOf(read, "brokerUsername")} is ${brokerUsername} and the worker's id is ${workerId}: a worker logs in under its id, ` +
        "because that is what its rights are bound to; drop the one or change the other",
    );
  }
  return workerId;
}
