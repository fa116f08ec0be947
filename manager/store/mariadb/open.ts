import type { CredentialBook } from "../../../broker/credential-book.ts";
import type { Credentials } from "../../../broker/credentials-check.ts";
import type { Log } from "../../../schema/kit/log.ts";
import type { LogStore } from "../logstore.ts";
import type { Store } from "../store.ts";
import { openConnections } from "./connection.ts";
import { openMariadbCredentials } from "./credentials.ts";
import { openMariadbLogs } from "./logs.ts";
import { takeOver } from "./open-book.ts";
import { openMariadbStore } from "./store.ts";

export interface OpenedMariadb {
  readonly store: Store;
  readonly logs: LogStore;
  readonly credentials: { readonly book: CredentialBook; readonly verify: Credentials };
}

/**
 * Opens the database that the URL names, with output and credentials beside the rest; a `credentials.json` in the data folder is
 * taken over. Waits, and says so, while the server is away; rejects with a sentence when it refuses the account, has no such
 * database or cannot be verified.
 */
export async function openMariadb(url: string, dataDir: string | null, log: Log): Promise<OpenedMariadb> {
  const connections = await openConnections(url, { onWaiting: (sentence) => log.warn(sentence) });
  const database = connections.address.shown;
  const store = await openMariadbStore(connections, (migration) =>
    log.info({ migration, database }, "the database was brought up to date"),
  );
  try {
    if (dataDir !== null) await takeOver(connections, dataDir, (fields, text) => log.info(fields, text));
    const credentials = await openMariadbCredentials(connections);
    const logs = openMariadbLogs(connections);
    const close = async (): Promise<void> => {
      credentials.close();
      await store[Symbol.asyncDispose]();
    };
    return { store: { ...store, [Symbol.asyncDispose]: close }, logs, credentials };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
