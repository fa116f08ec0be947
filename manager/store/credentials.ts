/** Who may use the API and the broker: in a file of the data folder, or in a database that several managers share (decision 015). */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileBook, type CredentialBook } from "../../broker/credential-book.ts";
import { openCredentials } from "../../broker/credentials.ts";
import type { Credentials } from "../../broker/credentials-check.ts";
import { byShortWay } from "./short-way.ts";

/** Where credentials are kept, and how they are checked. */
export interface OpenedCredentials {
  readonly book: CredentialBook;
  readonly verify: Credentials;
}

/** Whether the URL names a database that several managers may share. */
export function isMariadb(databaseUrl: string): boolean {
  return /^(mysql|mariadb):/.test(databaseUrl);
}

/** Where a manager on SQLite keeps its credentials. */
export function credentialsFileIn(dataDir: string): string {
  return join(dataDir, "credentials.json");
}

function signpostIn(dataDir: string): string {
  return join(dataDir, "credentials.database");
}

/** Says in the data folder in which database the manager's credentials are (null: in none), for commands that were not told. */
export function putSignpost(dataDir: string, shown: string | null): void {
  if (shown === null) rmSync(signpostIn(dataDir), { force: true });
  else writeFileSync(signpostIn(dataDir), `${shown}\n`, { mode: 0o600 });
}

/**
 * The credentials that the managers of this configuration use, for a command that runs beside one. Rejects with a sentence when
 * their database does not answer. `say` is told what was done besides.
 */
export async function openCredentialBook(
  { databaseUrl, dataDir }: { readonly databaseUrl: string | null; readonly dataDir: string },
  say: (sentence: string) => void,
): Promise<CredentialBook & AsyncDisposable> {
  if (databaseUrl === null || !isMariadb(databaseUrl)) {
    const signpost = signpostIn(dataDir);
    if (existsSync(signpost)) {
      throw new Error(
        `the manager of ${dataDir} keeps its credentials in ${readFileSync(signpost, "utf8").trim()}; give MUSTER_DATABASE_URL as it has it`,
      );
    }
    return { ...fileBook(credentialsFileIn(dataDir)), [Symbol.asyncDispose]: async () => {} };
  }
  const { openMariadbBook } = await byShortWay(() => import("./mariadb/open-book.ts"));
  return await openMariadbBook(databaseUrl, dataDir, say);
}

/** The credentials in a file, as a manager uses them. Throws a sentence when it is damaged. */
export function credentialsIn(file: string): OpenedCredentials {
  return { book: fileBook(file), verify: openCredentials(file) };
}
