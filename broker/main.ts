/** The stand-alone embedded broker: for a manager that should not carry it, or for several managers. */
import { join } from "node:path";
import { configOrExit } from "../schema/kit/config.ts";
import { makeLog, type Log } from "../schema/kit/log.ts";
import { readBrokerConfig } from "./config.ts";
import { withSomeManager } from "./credentials-content.ts";
import { changeCredentials } from "./credentials-file.ts";
import { openCredentials } from "./credentials.ts";
import { startEmbeddedBroker, type EmbeddedBroker } from "./embedded.ts";
import type { BrokerConfig } from "./settings.ts";

/** Listens until it is closed. Rejects with a sentence: the credentials are damaged, the port is in use. */
export async function runBroker(config: BrokerConfig, log: Log): Promise<EmbeddedBroker> {
  const { host, port, prefix, tls } = config;
  const credentials = openCredentials(join(config.dataDir, "credentials.json"));
  const broker = await startEmbeddedBroker({ host, port, prefix, credentials, log, ...(tls ? { tls } : {}) });
  log.info({ host, port: broker.port, prefix, secure: tls !== null }, "broker is up");
  return broker;
}

async function main(): Promise<void> {
  // Before anything else: a signal that comes during the start must end it as well, and cleanly.
  const stop = Promise.withResolvers<string>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, stop.resolve);
  const config = configOrExit(() => readBrokerConfig());
  const log = makeLog({ name: "broker", level: config.logLevel });
  const password = changeCredentials(join(config.dataDir, "credentials.json"), withSomeManager());
  const broker = await runBroker(config, log);
  if (password !== undefined)
    process.stdout.write(`muster broker: a manager comes in with MUSTER_BROKER_PASSWORD=${password} (shown this once)\n`);
  log.info({ signal: await stop.promise }, "broker stops");
  await broker.close();
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`muster broker: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
