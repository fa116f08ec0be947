/** `npm run token`: makes a new admin token and revokes the old one. The token alone goes to standard output. */
import { withOnlyToken } from "../broker/credentials-content.ts";
import { adminName } from "../manager/admin.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { readHostConfig } from "./config.ts";
import { openHostCredentials } from "./credentials.ts";
import { takeNoArguments } from "./no-arguments.ts";
import { commandOf } from "../schema/command.ts";

const usage = `Usage: ${commandOf("token")}

Makes a new admin token, prints it, and revokes the old one: at once, or with MariaDB within a second at every manager. Run it beside
the manager's data folder (MUSTER_DATA_DIR), with MUSTER_DATABASE_URL as the manager has it.`;

async function main(): Promise<void> {
  takeNoArguments(usage);
  const config = configOrExit(() => readHostConfig());
  await using book = await openHostCredentials(config);
  if (config.adminToken !== null) throw new Error("MUSTER_ADMIN_TOKEN presets the token here; change it there, or unset it");
  const { token, revoked } = await book.change(withOnlyToken({ name: adminName }));
  process.stderr.write(revoked === 0 ? "The admin token:\n" : "A new admin token; the old one no longer works:\n");
  process.stdout.write(`${token}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`muster token: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
