import { onTestFinished } from "vitest";
import type { Store } from "../../../manager/store/store.ts";

export interface StoreForTest {
  readonly store: Store;
  /** The same data through a new connection, where there is one; else the same store. */
  reopen(): Promise<Store>;
  close(): Promise<void>;
}

export type OpenForTest = () => Promise<StoreForTest>;

/** Opens one for the running test and closes it afterwards. */
export async function openFor(open: OpenForTest): Promise<StoreForTest> {
  const opened = await open();
  onTestFinished(() => opened.close());
  return opened;
}
