/** The demo's manager and worker on a database and a broker of somebody else's, in this process and in a pool of their own. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addClient, addToken } from "../../broker/credentials.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { readManagerConfig, type ManagerConfig } from "../../manager/config.ts";
import { runManager } from "../../manager/manager.ts";
import { pause } from "../../schema/kit/backoff.ts";
import { makeLog } from "../../schema/kit/log.ts";
import { uplinkTopic } from "../../schema/topics.ts";
import { readWorkerConfig, type WorkerConfig } from "../../worker/config.ts";
import { runWorker } from "../../worker/worker.ts";
import { startLimits } from "../start/limits.ts";
import type { Elsewhere } from "./config.ts";
import type { OwnSystem } from "./system.ts";

/**
 * Starts both and resolves when the worker is in touch. What may run there already is not disturbed: topics, tasks and runs are
 * those of a pool with a name that nobody has. Rejects with a sentence that says what does not answer.
 */
export async function startElsewhere(elsewhere: Elsewhere): Promise<OwnSystem> {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "muster-demo-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const pool = `demo-${randomBytes(6).toString("hex")}`;
  const log = makeLog({ name: "demo", level: "silent" });
  // A file of its own, also on a database whose managers share theirs: nobody shall come in by a token of the demo afterwards.
  const credentialsFile = join(folder, "manager", "credentials.json");
  const token = addToken(credentialsFile, { name: "demo" });
  const managerConfig = { ...readManagerConfig([], managerEnv(elsewhere, folder, pool), folder), credentialsFile };
  const manager = await runManager(managerConfig, log);
  parts.defer(() => manager.close());
  const url = manager.url;
  await untilWell(() => healthTrouble(url), startLimits.elsewhereMs);
  const workerConfig = workerOf(elsewhere, {
    folder,
    pool,
    credentialsFile,
    managerUrl: url,
    brokerPort: manager.brokerPort,
    managerConfig,
  });
  parts.defer(() => forgetStatus(workerConfig));
  const worker = await runWorker(workerConfig, log);
  parts.defer(() => worker.close());
  const user = elsewhere.broker?.username ?? "anybody";
  const where = `the topics ${managerConfig.topicPrefix}/v1/# on ${elsewhere.broker?.url ?? "its broker"}`;
  await untilWell(
    () => (worker.view().synced ? undefined : `the worker does not reach its manager: may ${user} read and write ${where}?`),
    startLimits.readyMs / 3,
  );
  const kept = parts.move();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => void kept.disposeAsync().then(() => process.exit(1)));
  return { client: { url, token }, pool, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function managerEnv({ settings, broker }: Elsewhere, folder: string, pool: string): Record<string, string> {
  return {
    ...settings,
    ...(broker && broker.username === null ? { MUSTER_BROKER_PASSWORD: randomBytes(32).toString("base64url") } : {}),
    MUSTER_DATA_DIR: join(folder, "manager"),
    MUSTER_HTTP_PORT: "0",
    MUSTER_BROKER_PORT: "0",
    MUSTER_POOLS: pool,
  };
}

interface Place {
  readonly folder: string;
  readonly pool: string;
  readonly credentialsFile: string;
  readonly managerUrl: string;
  /** Of the manager's own broker; null with one elsewhere. */
  readonly brokerPort: number | null;
  readonly managerConfig: ManagerConfig;
}

/** A worker logs in under its id everywhere but here, where one user may be all that there is. */
function workerOf(elsewhere: Elsewhere, place: Place): WorkerConfig {
  const { folder, pool } = place;
  const password = randomBytes(32).toString("base64url");
  const env: Record<string, string> = {
    MUSTER_DATA_DIR: join(folder, "worker"),
    MUSTER_WORKER_ID: pool,
    MUSTER_POOL: pool,
    MUSTER_MANAGER_URL: place.managerUrl,
    MUSTER_TOPIC_PREFIX: place.managerConfig.topicPrefix,
    MUSTER_BROKER_PASSWORD: password,
  };
  const config = readWorkerConfig([], env, folder);
  const { broker } = place.managerConfig;
  if (broker.kind === "remote") {
    const { kind: _, ...client } = broker;
    return { ...config, broker: elsewhere.broker?.username ? client : { ...client, username: pool } };
  }
  addClient(place.credentialsFile, { username: pool, pool, role: "worker", password });
  return { ...config, broker: { ...config.broker, url: `mqtt://127.0.0.1:${place.brokerPort}` } };
}

/** Takes the worker's last status off the broker, where nobody else would. */
async function forgetStatus({ broker, topicPrefix, pool, workerId }: WorkerConfig): Promise<void> {
  const signal = AbortSignal.timeout(startLimits.forgetStatusMs);
  try {
    const connection = await mqttConnector(broker).connect({ clientId: workerId, take: () => undefined }, signal);
    await connection.publish(uplinkTopic(topicPrefix, pool, workerId, "status"), new Uint8Array(), { qos: 1, retain: true });
    await connection.close();
  } catch {
    // The broker is away, and with it, unless it keeps such things, the status.
  }
}

/** What health says is wrong; undefined when nothing is. */
async function healthTrouble(url: string): Promise<string | undefined> {
  const health = (await (await fetch(`${url}/health`)).json()) as {
    readonly checks: readonly { readonly status: string; readonly sentence: string }[];
  };
  const failing = health.checks.filter(({ status }) => status === "fail").map(({ sentence }) => sentence);
  return failing.length === 0 ? undefined : failing.join("; ");
}

/** Waits until `look` has nothing to complain of; rejects with its last complaint. */
async function untilWell(look: () => string | undefined | Promise<string | undefined>, withinMs: number): Promise<void> {
  const patience = AbortSignal.timeout(withinMs);
  for (;;) {
    const trouble = await look();
    if (trouble === undefined) return;
    if (patience.aborted) throw new Error(trouble);
    await pause(startLimits.elsewhereLookMs, patience);
  }
}
