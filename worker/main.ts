/** The worker's command: `node worker/main.ts [flags]`; `--health` asks the running agent instead. */
import { flushCompileCache } from "node:module";
import { pause } from "../schema/kit/backoff.ts";
import { bootClock } from "../schema/kit/clock.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { armFailpoints } from "../schema/kit/failpoint.ts";
import { makeLog, type Log } from "../schema/kit/log.ts";
import { readWorkerConfig, type WorkerConfig } from "./config.ts";
import { healthOf } from "./health.ts";
import { leave } from "./leave.ts";
import { countPresses, type Presses } from "./presses.ts";
import { agentFolder, runWorker, type Worker } from "./worker.ts";

/** The exit code of a bug (sysexits.h, EX_SOFTWARE). */
const bugExit = 70;

/** One life after the other: the manager may send a worker away to come back with a new journal. */
async function live(config: WorkerConfig, log: Log, presses: Presses): Promise<void> {
  for (;;) {
    const worker = await runWorker(config, log);
    // A worker that is killed keeps what was compiled all the same: its next start is quicker and smaller.
    flushCompileCache();
    void worker.failed.then((error) => {
      log.fatal({ err: error }, "a bug: the worker's loop ended by itself; its processes go on");
      process.exit(bugExit);
    });
    const renew = await Promise.race([worker.renew, presses.reached(1)]);
    if (!renew) {
      await leaveWith(worker, config, presses);
      return;
    }
    await worker.close();
    const waited = new AbortController();
    const pressed = await Promise.race([
      presses.reached(1).then(() => true),
      pause(renew.afterMs, waited.signal).then(() => false),
    ]);
    waited.abort();
    if (pressed) return;
  }
}

async function leaveWith(worker: Worker, config: WorkerConfig, presses: Presses): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`muster worker: ${line}\n`);
  await leave({ handled: worker.handled, view: worker.view, presses, say }, config.stopRuns);
  await worker.close();
}

async function main(): Promise<void> {
  const config = configOrExit(() => readWorkerConfig());
  if (config.health) {
    const { ok, sentence } = healthOf(agentFolder(config), bootClock());
    process.stdout.write(`${sentence}\n`);
    process.exitCode = ok ? 0 : 1;
    return;
  }
  armFailpoints(config.failpoint);
  const log = makeLog({ name: "worker", level: config.logLevel });
  process.on("unhandledRejection", (error) => {
    log.fatal({ err: error }, "a bug: nobody handles this failure; the worker's processes go on");
    process.exit(bugExit);
  });
  // Whoever read our lines may be gone before us; the worker goes on without them.
  process.stdout.on("error", (error) => log.debug({ err: error }, "standard output is gone"));
  using presses = countPresses();
  await live(config, log, presses);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`muster worker: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
