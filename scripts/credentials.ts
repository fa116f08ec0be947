/** The credentials of the managers that a command runs beside. */
import { existsSync } from "node:fs";
import type { CredentialBook } from "../broker/credential-book.ts";
import { isMariadb, openCredentialBook } from "../manager/store/credentials.ts";
import type { HostConfig } from "./config.ts";

/** Opens them. Rejects with a sentence when nothing of Muster is there, or the database does not answer. */
export async function openHostCredentials(
  config: Pick<HostConfig, "dataDir" | "databaseUrl">,
): Promise<CredentialBook & AsyncDisposable> {
  const { dataDir, databaseUrl } = config;
  if (!(databaseUrl !== null && isMariadb(databaseUrl)) && !existsSync(dataDir))
    throw new Error(`there is no data folder ${dataDir}; start Muster first, or name its folder by MUSTER_DATA_DIR`);
  return await openCredentialBook(config, (sentence) => process.stderr.write(`${sentence}\n`));
}
