/** What is fixed for one life of the agent: who it is, what its host has and can do. */
import type { AgentOptions } from "./agent/types.ts";
import type { WorkerConfig } from "./config.ts";
import type { Driver } from "./drivers/driver.ts";
import { loadDrivers } from "./drivers/load.ts";
import { findFacts, survives } from "./facts.ts";
import { version } from "../schema/kit/version.ts";
import { defaultEnvironment } from "./process/environment.ts";
import type { JournalMeta } from "./agent/records.ts";
import type { Log } from "../schema/kit/log.ts";
import { shortId } from "../schema/kit/random.ts";
import { formatEpoch } from "../schema/ids.ts";
import { timing } from "../schema/limits.ts";

export interface Setup {
  /** Without `fences`, which the process host knows. */
  readonly options: Omit<AgentOptions, "fences">;
  readonly drivers: ReadonlyMap<string, Driver>;
  /** Absolute paths of the interpreters that were found. */
  readonly interpreters: ReadonlyMap<string, string>;
}

/** Looks at the host and loads the drivers. Rejects with a sentence when a driver cannot be loaded. */
export async function setUp(config: WorkerConfig, meta: JournalMeta, log: Log): Promise<Setup> {
  const drivers = await loadDrivers(config.drivers);
  const { facts, interpreters } = await findFacts({
    path: defaultEnvironment().PATH,
    drivers: [...drivers.keys()],
    agentVersion: version,
    note: (sentence) => log.warn(sentence),
  });
  const outlives = survives();
  if (!outlives.survives) log.warn({ why: outlives.why }, "the processes of this worker would not outlive its agent");
  const { slots, memoryMb, cpus } = config.capacity;
  return {
    options: {
      epoch: formatEpoch({ journal: meta.journal, n: meta.n, nonce: shortId() }),
      facts,
      labels: config.labels,
      capacity: { slots, memoryMb: memoryMb ?? facts.memoryMb, cpus: cpus ?? facts.cpus },
      survives: outlives.survives,
      http: config.managerUrl !== null,
      gatherMs: timing.gatherMs,
      settings: config.settings,
    },
    drivers,
    interpreters,
  };
}
