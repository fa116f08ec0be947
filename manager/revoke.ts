import type { CredentialBook } from "../broker/credential-book.ts";
import { withoutClient } from "../broker/credentials-content.ts";
import { pause } from "../schema/kit/backoff.ts";
import type { Log } from "../schema/kit/log.ts";
import type { EventRecord } from "./control/records.ts";

/** Long enough for the stops that a removal sends to reach the worker before its connection goes. */
const kickAfterMs = 3_000;
/** A database that fails right after it took the removal mostly comes back. */
const tries = 30;
const againMs = 2_000;

export interface RevokeDeps {
  readonly book: CredentialBook;
  /** Ends the connections of a username; absent with a broker that is not ours. */
  readonly kick?: (username: string) => void;
  readonly log: Log;
  /** Ends the tries. */
  readonly signal: AbortSignal;
}

/** Takes the password of each removed worker: it does not come back under it. `worker:add` makes a new one. Never rejects. */
export async function revokeRemoved(events: readonly EventRecord[], deps: RevokeDeps): Promise<void> {
  const removed = events.filter(({ kind }) => kind === "workerRemoved").flatMap(({ workerId }) => workerId ?? []);
  await Promise.all(removed.map((workerId) => revoke(workerId, deps)));
}

async function revoke(workerId: string, { book, kick, log, signal }: RevokeDeps): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      if (!(await book.change(withoutClient(workerId)))) return;
      log.info({ workerId }, "the removed worker's password is revoked");
      setTimeout(() => kick?.(workerId), kickAfterMs).unref();
      return;
    } catch (error) {
      if (tried === tries || signal.aborted) {
        log.error({ err: error, workerId }, `the removed worker's password could not be revoked; remove it from ${book.where}`);
        return;
      }
      await pause(againMs, signal);
    }
  }
}
