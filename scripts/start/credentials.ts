/** The credentials that a system needs at its first start: an admin token, and a password for its own worker. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addClient, listNames, openCredentials } from "../../broker/credentials.ts";
import { ensureAdminToken } from "../../manager/admin.ts";
import type { StartConfig } from "../config.ts";

export interface Prepared {
  /** The admin token, when it was made here. */
  readonly token: string | undefined;
  /** Where the worker's password lies. */
  readonly passwordFile: string;
}

/** Makes what is missing in the data folder. Throws a sentence when the credentials there are damaged. */
export function prepareCredentials(config: Pick<StartConfig, "dataDir" | "adminToken" | "workerId" | "pool">): Prepared {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const file = join(config.dataDir, "credentials.json");
  const token = ensureAdminToken(file, config.adminToken);
  return { token, passwordFile: workerPassword(file, config) };
}

/** The worker's password, in a file of its own because the credentials hold only its hash; made anew when the two do not agree. */
function workerPassword(file: string, { dataDir, workerId, pool }: Pick<StartConfig, "dataDir" | "workerId" | "pool">): string {
  const passwordFile = join(dataDir, "worker-password");
  const password = readPassword(passwordFile);
  const known = listNames(file).clients.some((client) => client.username === workerId && client.pool === pool);
  if (known && password !== undefined && openCredentials(file).verifyClient(workerId, password)) return passwordFile;
  const made = addClient(file, { username: workerId, pool, role: "worker", replace: true });
  writeFileSync(`${passwordFile}.new`, `${made}\n`, { mode: 0o600 });
  renameSync(`${passwordFile}.new`, passwordFile);
  return passwordFile;
}

function readPassword(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trimEnd();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`cannot read the local worker's password in ${file}`, { cause: error });
  }
}
