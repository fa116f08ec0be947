import { afterAll, beforeAll } from "vitest";
import { checkMariadb } from "../../../../manager/store/mariadb/check.ts";
import { openConnections } from "../../../../manager/store/mariadb/connection.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import type { Store } from "../../../../manager/store/store.ts";
import { storeContract } from "../../../contract/store/store.contract.ts";
import { MariadbServer, mariadbMissing } from "../../../kit/mariadb.ts";

const missing = mariadbMissing();
let server: MariadbServer | undefined;
beforeAll(async () => {
  if (missing === undefined) server = await MariadbServer.start();
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

const openAt = async (url: string): Promise<Store> => {
  const connections = await openConnections(url);
  // What it says is the contract's, and not how soon: a server that has no processor answers late.
  return { ...(await openMariadbStore(connections)), check: async () => await checkMariadb(connections, 60_000) };
};

storeContract(
  "MariaDB",
  async () => {
    const url = (await server?.database()) ?? "";
    let store = await openAt(url);
    return {
      store,
      reopen: async () => {
        await store[Symbol.asyncDispose]();
        store = await openAt(url);
        return store;
      },
      close: async () => await store[Symbol.asyncDispose](),
    };
  },
  missing,
);
