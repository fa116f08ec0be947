/** `muster backup <file>`: a copy of a SQLite database as it is at one moment, also while the manager runs. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";
import { Command } from "commander";
import { readCliConfig, type CliConfig } from "./config.ts";

const more = `
The manager may go on meanwhile. For the output of runs copy the folder logs/ of the data folder as well, and credentials.json.
A MariaDB is backed up by its own tools: mariadb-dump --single-transaction, or mariadb-backup. See docs/operations.md, Backup.`;

export function backupCommand(): Command {
  return new Command("backup")
    .description("Copies the manager's SQLite database to a file.")
    .argument("<file>", "where the copy goes; it must not be there yet")
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText("after", more)
    .action(async (file: string, _options: object, command: Command) => {
      await backUp(readCliConfig("backup", command.args.slice(1)), file);
    });
}

/** All pages in one step: between two steps a manager that commits would make the copy begin anew, for ever. */
const allPages = 2_147_483_647;

async function backUp({ databaseUrl }: CliConfig, to: string): Promise<void> {
  if (to.startsWith("-")) throw new Error("name the file first, then the flags");
  if (!databaseUrl.startsWith("sqlite:"))
    throw new Error("only a SQLite database is copied this way; for MariaDB use mariadb-dump --single-transaction");
  const from = databaseUrl.slice("sqlite:".length);
  if (!existsSync(from)) throw new Error(`there is no database at ${from} (MUSTER_DATA_DIR, MUSTER_DATABASE_URL)`);
  if (existsSync(to)) throw new Error(`${to} is there already; give the copy a name of its own`);
  const part = `${to}.part`;
  const source = new DatabaseSync(from, { readOnly: true, timeout: 5_000 });
  try {
    rmSync(part, { force: true });
    await backup(source, part, { rate: allPages });
    renameSync(part, to);
  } finally {
    source.close();
    rmSync(part, { force: true });
  }
  process.stdout.write(`muster backup: ${from} is copied to ${to}\n`);
}
