import { expect, test } from "vitest";
import { mariadbBodies } from "../../../../manager/store/mariadb/bodies.ts";
import type { Connections, Session } from "../../../../manager/store/mariadb/connection.ts";
import { StoreError } from "../../../../manager/store/store.ts";

/** Connections of which the first `broken` sessions lose theirs in the middle; `begun` counts them. */
function breaking(broken: number): { readonly connections: Connections; readonly begun: () => number } {
  let begun = 0;
  const session = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    begun += 1;
    if (begun <= broken) throw new StoreError("transient", false, "The database does not answer: write ECONNRESET");
    return await work({ query: async () => ({ rows: [], changed: 1 }) } as unknown as Session);
  };
  const connections = { read: async () => [], session } as unknown as Connections;
  return { connections, begun: () => begun };
}

test("a body whose transaction was ended while this process stood still is written again, once", async () => {
  const once = breaking(1);
  await mariadbBodies(once.connections).putBody("a".repeat(64), Buffer.from("body"));
  expect(once.begun()).toBe(2);
  const twice = breaking(2);
  await expect(mariadbBodies(twice.connections).putBody("a".repeat(64), Buffer.from("body"))).rejects.toThrow("ECONNRESET");
  expect(twice.begun()).toBe(2);
});
