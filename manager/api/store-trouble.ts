import { problem } from "../../schema/problem.ts";
import { StoreError } from "../store/store.ts";

/**
 * What to tell of an error that came before anything was asked for: trouble of the store that passes is 503 not-taken, any
 * other error stays as it is. After something was asked for it would be a lie: then nobody knows the outcome.
 */
export function notTakenFor(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.kind !== "transient") return error;
  const told = problem("not-taken", `the database is in trouble: ${error.message}; try again`, { retryAfterSeconds: 2 });
  return Object.assign(told, { cause: error });
}

/** Stores a body ahead of what will name it; without that, nobody ever looks at it. */
export async function storeBody(
  store: { putBody(sha256: string, bytes: Uint8Array): Promise<void> },
  sha256: string,
  bytes: Uint8Array,
): Promise<void> {
  await store.putBody(sha256, bytes).catch((error: unknown) => {
    throw notTakenFor(error);
  });
}
