import { onTestFinished } from "vitest";
import { openConnections } from "../../../../manager/store/mariadb/connection.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import type { Store } from "../../../../manager/store/store.ts";

/** A store on the database of the URL, for the running test. */
export async function storeAt(url: string): Promise<Store> {
  const store = await openMariadbStore(await openConnections(url));
  onTestFinished(async () => await store[Symbol.asyncDispose]());
  return store;
}

/** The URL by way of a proxy. */
export function through(url: string, port: number): string {
  return url.replace(/:\d+\//, `:${port}/`);
}

/** Times of a lease on a real database, ms. */
export const databaseLease = { leaseRenewMs: 50, leaseStillMs: 400 };
