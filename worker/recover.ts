/** What an earlier agent left: processes that may still run, and output that is not shipped. */
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Found } from "./agent/types.ts";
import type { LedgerEntry } from "./agent/records.ts";
import type { Journal } from "./journal.ts";
import type { LogShipper } from "./logs/shipper.ts";
import type { ProcessHost } from "./process/host.ts";
import type { Log } from "../schema/kit/log.ts";

export interface RecoverDeps {
  readonly journal: Pick<Journal, "meta">;
  readonly entries: readonly LedgerEntry[];
  readonly host: ProcessHost;
  readonly logs: LogShipper;
  readonly log: Log;
}

/**
 * Finds out what became of the attempts that the journal says were launched and have not ended, and takes up the shipping
 * of every folder that is still there. What it returns is the core's first input.
 */
export async function recover(deps: RecoverDeps): Promise<Found[]> {
  const { entries, host, logs, log } = deps;
  const launched = entries.filter((entry) => entry.launchBootId !== null && entry.state !== "ended");
  // Before the host looks: it may tell of an end while it does.
  for (const { attempt, order } of launched) logs.track(attempt, order?.limits.logStreamBytes);
  const found = await host.recover(
    launched.map(({ attempt, launchBootId, order }) => ({
      attempt,
      launchBootId,
      limits: order?.limits ?? { logStreamBytes: 0, resultBytes: 0 },
    })),
  );
  for (const one of found) if (one.found !== "alive" && one.found !== "starting") logs.ended(one.attempt);
  takeUpFolders(deps);
  const alive = found.filter((one) => one.found === "alive").length;
  if (launched.length > 0)
    log.info({ launched: launched.length, alive }, "processes of an earlier agent: those that are alive are adopted");
  return found;
}

/** Folders of attempts that have ended: their output goes on being shipped, and then they go. */
function takeUpFolders({ journal, entries, host, logs, log }: RecoverDeps): void {
  const ended = new Map(entries.filter((entry) => entry.state === "ended").map((entry) => [entry.attempt, entry]));
  const known = new Set(entries.map((entry) => entry.attempt));
  const strange: string[] = [];
  for (const attempt of readdirSync(dirname(host.folderOf("any")))) {
    const entry = ended.get(attempt);
    if (!entry) {
      if (!known.has(attempt)) strange.push(attempt);
      continue;
    }
    logs.track(attempt);
    logs.ended(attempt);
    if (entry.endSeq <= journal.meta.highestAck) logs.settle(attempt);
  }
  // Without its ledger entry nobody can say whether something of it still runs: that is for a person to look at.
  if (strange.length > 0)
    log.warn(
      { attemptIds: strange.slice(0, 20), count: strange.length },
      "folders of attempts that the journal does not know are left as they are",
    );
}
