import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import { storeContract } from "../../contract/store/store.ts";

storeContract("memory", async () => {
  const store = openMemoryStore();
  return { store, reopen: async () => store, close: async () => store[Symbol.asyncDispose]() };
});

storeContract("SQLite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "muster-store-"));
  const file = join(folder, "muster.db");
  let store = await openSqliteStore({ file });
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = await openSqliteStore({ file });
      return store;
    },
    close: async () => {
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
});
