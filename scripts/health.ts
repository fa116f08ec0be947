/**
 * `node scripts/muster.mjs health`: whether the part of Muster that runs on this data folder is alive, for a container's
 * health check. In a container exactly one part runs: a worker leaves a state file, a manager answers HTTP, a broker listens.
 */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { bootClock } from "../schema/kit/clock.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { healthOf, type Health } from "../worker/health.ts";
import { stateFilePath } from "../worker/state-file.ts";
import { readHealthConfig, type HealthConfig } from "./config.ts";

const patienceMs = 5_000;

async function managerAnswers(apiUrl: string): Promise<boolean> {
  try {
    const response = await fetch(`${apiUrl}/livez`, { signal: AbortSignal.timeout(patienceMs) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Not here, or not yet; what else may run here is asked next.
    return false;
  }
}

async function brokerListens({ brokerHost, brokerPort }: HealthConfig): Promise<boolean> {
  const socket = connect({ host: brokerHost, port: brokerPort });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(patienceMs) });
    return true;
  } catch {
    // Nobody listens there.
    return false;
  } finally {
    socket.destroy();
  }
}

async function health(config: HealthConfig): Promise<Health> {
  const agent = join(config.dataDir, "worker");
  if (existsSync(stateFilePath(agent))) return healthOf(agent, bootClock());
  if (await managerAnswers(config.apiUrl)) return { ok: true, sentence: `the manager at ${config.apiUrl} is alive` };
  const place = `${config.brokerHost}:${config.brokerPort}`;
  if (await brokerListens(config)) return { ok: true, sentence: `the broker at ${place} listens` };
  return { ok: false, sentence: `no worker has left a state in ${agent}, and nobody answers at ${config.apiUrl} or ${place}` };
}

const { ok, sentence } = await health(configOrExit(() => readHealthConfig()));
process.stdout.write(`${sentence}\n`);
process.exitCode = ok ? 0 : 1;
