/** The credentials that a system needs at its first start: an admin token, and a password for its own worker. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CredentialBook } from "../../broker/credential-book.ts";
import { withClient } from "../../broker/credentials-content.ts";
import { passwordMatches } from "../../broker/secrets.ts";
import { ensureAdminToken } from "../../manager/admin.ts";
import { openCredentialBook } from "../../manager/store/credentials.ts";
import type { StartConfig } from "../config.ts";

export interface Prepared {
  /** The admin token, when it was made here. */
  readonly token: string | undefined;
  /** Where the worker's password lies. */
  readonly passwordFile: string;
}

type Wanted = Pick<StartConfig, "dataDir" | "adminToken" | "workerId" | "pool" | "databaseUrl">;

/** Makes what is missing. Rejects with a sentence when the credentials are damaged, or their database does not answer. */
export async function prepareCredentials(config: Wanted, say: (sentence: string) => void): Promise<Prepared> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  await using book = await openCredentialBook(config, say);
  const token = await ensureAdminToken(book, config.adminToken);
  return { token, passwordFile: await workerPassword(book, config) };
}

/** The worker's password, in a file of its own because the credentials hold only its hash; made anew when the two do not agree. */
async function workerPassword(book: CredentialBook, { dataDir, workerId, pool }: Wanted): Promise<string> {
  const passwordFile = join(dataDir, "worker-password");
  const password = readPassword(passwordFile);
  const { clients } = await book.read();
  const known = clients.find((client) => client.username === workerId && client.pool === pool);
  if (known && password !== undefined && passwordMatches(password, known.hash)) return passwordFile;
  const made = await book.change(withClient({ username: workerId, pool, role: "worker", replace: true }));
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
