/** The manager's metrics, put together: what it counts while it works, and what is read when somebody asks. */
import type { Clock } from "../../schema/kit/clock.ts";
import { expose, type Exposition } from "../../schema/kit/metrics/exposition.ts";
import { reading, type Family } from "../../schema/kit/metrics/families.ts";
import type { PoolEngine } from "../engine/engine.ts";
import type { EngineCounts } from "./metrics-engine.ts";
import type { HttpCounts } from "./metrics-http.ts";
import { leadFamilies } from "./metrics-lead.ts";
import { peerFamilies, type PeerParts } from "./metrics-peers.ts";
import { wireFamilies, type WireParts } from "./metrics-wire.ts";

export interface MetricsParts extends WireParts {
  readonly engines: ReadonlyMap<string, Pick<PoolEngine, "lead" | "trouble">>;
  readonly clock: Clock;
  readonly counts: Pick<EngineCounts, "families">;
  readonly http: Pick<HttpCounts, "families">;
  /** Whether requests would be taken now. */
  readonly ready: () => boolean;
  /** Streams that are open: events and followed logs. */
  readonly streams: () => number;
  readonly version: string;
  /** Absent where no other manager can be on the same database. */
  readonly peers?: PeerParts | undefined;
}

export function managerFamilies(parts: MetricsParts): readonly Family[] {
  return [
    ...leadFamilies(parts.engines, parts.clock),
    ...parts.counts.families,
    ...wireFamilies(parts),
    ...parts.http.families,
    ...peerFamilies(parts.peers),
    reading(
      { name: "muster_http_streams", help: "Event streams and followed logs that are open.", type: "gauge", labels: [] },
      (put) => put(parts.streams()),
    ),
    reading(
      { name: "muster_ready", help: "1 while requests would be taken, as /readyz says.", type: "gauge", labels: [] },
      (put) => put(parts.ready() ? 1 : 0),
    ),
    reading(
      { name: "muster_build_info", help: "Always 1; what runs, in its labels.", type: "gauge", labels: ["part", "version"] },
      (put) => put(1, "manager", parts.version),
    ),
  ];
}

/** Once in a process: it also measures the process from now on. */
export function exposeManager(parts: MetricsParts): Exposition {
  return expose(managerFamilies(parts));
}
