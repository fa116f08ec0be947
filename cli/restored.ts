/** `muster restored`: says that the database was taken back, before the managers are started on it (rule 28). */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { loadStore } from "../manager/store/load.ts";
import { realPath } from "../manager/store/real-path.ts";
import { markRestored } from "../manager/restored.ts";
import { commandOf } from "../schema/command.ts";
import { processClock } from "../schema/kit/clock.ts";
import { makeLog } from "../schema/kit/log.ts";
import { isHeld } from "./checks/lock.ts";
import { readAccount, readCliConfig, type CliConfig } from "./config.ts";

interface Options {
  readonly pool?: string[];
  readonly reason?: string;
}

const more = `
Stop all managers, put the backup back, run this, start the managers. Nothing is placed then until every worker that was not
removed has said what it ended since the backup: what finished does not run again. GET /pools says what is waited for.

The configuration is the manager's: MUSTER_DATA_DIR, MUSTER_DATABASE_URL, muster.yaml, or flags such as --data-dir.`;

export function restoredCommand(): Command {
  return new Command("restored")
    .description("Marks a database that was put back from a backup.")
    .option("--pool <pool...>", "only these pools; else all that the database has")
    .option("--reason <text>", "why, for the record")
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText("after", more)
    .action(async (options: Options, command: Command) => {
      await restored(readCliConfig("restored", command.args), options);
    });
}

async function restored(config: CliConfig, options: Options): Promise<void> {
  const { databaseUrl, dataDir } = config;
  if (databaseUrl === "memory:") throw new Error("the database is memory:, which is never put back");
  const file = databaseUrl.startsWith("sqlite:") ? databaseUrl.slice("sqlite:".length) : undefined;
  if (file !== undefined && !existsSync(file))
    throw new Error(`there is no database at ${file}; put the backup there first (MUSTER_DATA_DIR, MUSTER_DATABASE_URL)`);
  const folder = [...(file === undefined ? [] : [dirname(realPath(file))]), dataDir].find((one) => isHeld(join(one, "lock.db")));
  if (folder !== undefined) throw new Error(`a manager runs on ${folder}; stop all managers first`);
  const openStore = await loadStore();
  const log = makeLog({ name: "restored", level: "warn" });
  // A visit: the managers' credentials stay where they are.
  const { store } = await openStore(databaseUrl, { dataDir, log, credentialsFile: join(dataDir, "credentials.json") });
  const stop = new AbortController();
  const leave = (): void => stop.abort();
  process.once("SIGINT", leave).once("SIGTERM", leave);
  try {
    const pools = await markRestored(store, {
      pools: options.pool ?? null,
      by: readAccount(),
      byReason: options.reason ?? null,
      clock: processClock,
      stillMs: config.values.leaseStillMs,
      signal: stop.signal,
    });
    process.stdout.write(
      `muster restored: marked ${pools.map((pool) => `pool ${pool}`).join(", ")}. Start the managers now (${commandOf("manager")}); ` +
        "nothing is placed until every worker has said what it ended since the backup. GET /pools says what is waited for.\n",
    );
  } finally {
    process.off("SIGINT", leave).off("SIGTERM", leave);
    await store[Symbol.asyncDispose]();
  }
}
