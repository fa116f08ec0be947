import { onTestFinished } from "vitest";
import { openConnections, type Connections } from "../../../../manager/store/mariadb/connection.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import type { Store } from "../../../../manager/store/store.ts";
import { mariadbLimits } from "../../../../schema/limits/mariadb.ts";

/**
 * A store on the database of the URL, for the running test. Whoever writes by it, one after the other, waits for a locked row longer
 * than a product's connection does: how long a test holds a lock is up to the host.
 */
export async function storeAt(url: string): Promise<Store> {
  const connections = await openConnections(url);
  const store = await openMariadbStore(connections);
  onTestFinished(async () => await store[Symbol.asyncDispose]());
  // The one connection that there is by now, which stays as long as nothing goes wrong on it.
  await connections.write(["SET SESSION innodb_lock_wait_timeout = 60"]);
  return store;
}

/** Gives every connection for output a wait for a locked row that no stall of this host uses up. */
export async function waitLongForRows(connections: Connections): Promise<void> {
  const all = Promise.withResolvers<void>();
  let given = 0;
  await Promise.all(
    Array.from({ length: mariadbLimits.outputs }, () =>
      connections.output(async (session) => {
        await session.query("SET SESSION innodb_lock_wait_timeout = 60");
        given += 1;
        if (given === mariadbLimits.outputs) all.resolve();
        await all.promise;
      }),
    ),
  );
}

/** The URL by way of a proxy. */
export function through(url: string, port: number): string {
  return url.replace(/:\d+\//, `:${port}/`);
}

/** Times of a lease on a real database, ms. */
export const databaseLease = { leaseRenewMs: 50, leaseStillMs: 400 };
