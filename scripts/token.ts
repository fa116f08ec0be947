/** `npm run token`: makes a new admin token and revokes the old one. The token alone goes to standard output. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { addToken, revokeTokens } from "../broker/credentials.ts";
import { adminName } from "../manager/admin.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { readHostConfig } from "./config.ts";
import { takeNoArguments } from "./no-arguments.ts";
import { commandOf } from "../schema/command.ts";

const usage = `Usage: ${commandOf("token")}

Makes a new admin token, prints it, and revokes the old one at once. Run it beside the manager's data folder (MUSTER_DATA_DIR).`;

function main(): void {
  takeNoArguments(usage);
  const { credentialsFile, adminToken } = configOrExit(() => readHostConfig());
  if (!existsSync(dirname(credentialsFile))) {
    throw new Error(
      `there is no data folder ${dirname(credentialsFile)}; start Muster first, or name its folder by MUSTER_DATA_DIR`,
    );
  }
  if (adminToken !== null) throw new Error("MUSTER_ADMIN_TOKEN presets the token here; change it there, or unset it");
  // In this order, so that there is no moment without a token that works.
  const token = addToken(credentialsFile, { name: adminName });
  const revoked = revokeTokens(credentialsFile, adminName, token);
  process.stderr.write(revoked === 0 ? "The admin token:\n" : "A new admin token; the old one no longer works:\n");
  process.stdout.write(`${token}\n`);
}

try {
  main();
} catch (error) {
  process.stderr.write(`muster token: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
