import type { Log } from "../../../schema/kit/log.ts";
import type { LogStore } from "../logstore.ts";
import type { Store } from "../store.ts";
import { openConnections } from "./connection.ts";
import { openMariadbLogs } from "./logs.ts";
import { openMariadbStore } from "./store.ts";

/**
 * Opens the database that the URL names, with the output of attempts beside the rest. Waits, and says so, while the server is
 * away; rejects with a sentence when it refuses the account, has no such database or cannot be verified.
 */
export async function openMariadb(url: string, log: Log): Promise<{ readonly store: Store; readonly logs: LogStore }> {
  const connections = await openConnections(url, { onWaiting: (sentence) => log.warn(sentence) });
  const database = connections.address.shown;
  const store = await openMariadbStore(connections, (migration) =>
    log.info({ migration, database }, "the database was brought up to date"),
  );
  return { store, logs: openMariadbLogs(connections) };
}
