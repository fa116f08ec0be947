import { codecsOf } from "../codecs.ts";
import type { Store } from "../store.ts";
import * as tables from "../tables/mariadb.ts";
import { mariadbBodies } from "./bodies.ts";
import { checkMariadb } from "./check.ts";
import type { Connections } from "./connection.ts";
import { mariadbLeader } from "./leader.ts";
import { migrate } from "./migrate.ts";
import { mariadbReads } from "./reads.ts";
import { mariadbSessions } from "./sessions.ts";

/**
 * The store over open connections, which it takes over: its tables are made or brought up to date. Rejects with a sentence
 * when the data is of a newer release; the connections are closed then.
 */
export async function openMariadbStore(connections: Connections, onMigrated?: (name: string) => void): Promise<Store> {
  try {
    await migrate(connections, onMigrated);
  } catch (cause) {
    await connections[Symbol.asyncDispose]();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`The database ${connections.address.shown} cannot be used. ${why}`, { cause });
  }
  const codecs = codecsOf(tables);
  return {
    ...mariadbReads(connections, codecs),
    ...mariadbLeader(connections, codecs),
    ...mariadbBodies(connections),
    ...mariadbSessions(connections),
    check: () => checkMariadb(connections),
    [Symbol.asyncDispose]: () => connections[Symbol.asyncDispose](),
  };
}
