import { removeClient } from "../broker/credentials.ts";
import type { Log } from "../schema/kit/log.ts";
import type { EventRecord } from "./control/records.ts";

/** Long enough for the stops that a removal sends to reach the worker before its connection goes. */
const kickAfterMs = 3_000;

export interface RevokeDeps {
  readonly credentialsFile: string;
  /** Ends the connections of a username; absent with a broker that is not ours. */
  readonly kick?: (username: string) => void;
  readonly log: Log;
}

/** Takes the password of each removed worker: it does not come back under it. `worker:add` makes a new one. */
export function revokeRemoved(events: readonly EventRecord[], deps: RevokeDeps): void {
  for (const { kind, workerId } of events) {
    if (kind !== "workerRemoved" || workerId === null) continue;
    try {
      if (!removeClient(deps.credentialsFile, workerId)) continue;
      deps.log.info({ workerId }, "the removed worker's password is revoked");
      setTimeout(() => deps.kick?.(workerId), kickAfterMs).unref();
    } catch (error) {
      deps.log.error(
        { err: error, workerId },
        "the removed worker's password could not be revoked; remove it from credentials.json",
      );
    }
  }
}
