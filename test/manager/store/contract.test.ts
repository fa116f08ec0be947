import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe } from "vitest";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import type { OpenForTest } from "../../contract/store/open.ts";
import { sessionClockContract } from "../../contract/store/sessions.ts";
import { storeContract } from "../../contract/store/store.contract.ts";
import { quickFolder } from "../../kit/quick-folder.ts";

const memory: OpenForTest = async () => {
  const store = openMemoryStore();
  return { store, reopen: async () => store, close: async () => store[Symbol.asyncDispose]() };
};

const sqlite: OpenForTest = async () => {
  const folder = await mkdtemp(join(quickFolder(), "muster-store-"));
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
};

storeContract("memory", memory);
storeContract("SQLite", sqlite);
describe("memory", () => sessionClockContract(memory));
describe("SQLite", () => sessionClockContract(sqlite));
