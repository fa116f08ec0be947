/** The manager's command: `node manager/main.ts [flags]`. */
import { flushCompileCache } from "node:module";
import { configOrExit } from "../schema/kit/config.ts";
import { armFailpoints } from "../schema/kit/failpoint.ts";
import { makeLog } from "../schema/kit/log.ts";
import { readManagerConfig } from "./config.ts";
import { runManager } from "./manager.ts";

/** The exit code of a bug (sysexits.h, EX_SOFTWARE). */
const bugExit = 70;

async function main(): Promise<void> {
  const config = configOrExit(() => readManagerConfig());
  armFailpoints(config.failpoint);
  const log = makeLog({ name: "manager", level: config.logLevel });
  process.on("unhandledRejection", (error) => {
    log.fatal({ err: error }, "a bug: nobody handles this failure");
    process.exit(bugExit);
  });
  const manager = await runManager(config, log);
  // Node itself writes it only at a gentle end, and the next start should be quick after any.
  flushCompileCache();
  process.stdout.write(`muster manager: API at ${manager.url}, docs at ${manager.url}/docs\n`);
  const { adminToken } = manager;
  if (adminToken !== undefined) process.stdout.write(`muster manager: admin token, shown this once: ${adminToken}\n`);
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, "manager stops; workers go on with what they run");
    await manager.close();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
  void manager.failed.then((error) => {
    log.fatal({ err: error }, "a bug: the engine ended by itself");
    process.exit(bugExit);
  });
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`muster manager: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
