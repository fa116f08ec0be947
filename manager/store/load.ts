import type { openStore } from "./open.ts";
import { byShortWay } from "./short-way.ts";

/** Loads the store's code; what only one kind of database needs is loaded when it is opened. */
export async function loadStore(): Promise<typeof openStore> {
  const module = await byShortWay(() => import("./open.ts"));
  return module.openStore;
}
