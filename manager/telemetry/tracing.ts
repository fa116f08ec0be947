/** What traces a manager: requests, batches, commands. Undefined where no endpoint is set. */
import { managerUsername } from "../../schema/ids.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { openTracing, type TracingFigures } from "../../schema/kit/tracing.ts";
import type { ManagerConfig } from "../config.ts";
import type { ControlState } from "../control/state.ts";
import type { EngineWatch } from "../engine/watch.ts";
import { traceBatches } from "./tracing-batch.ts";
import { traceRequests, type TraceRequest } from "./tracing-http.ts";
import { traceDownlinks, type DownTracing } from "./tracing-wire.ts";

export interface ManagerTracing {
  readonly request: TraceRequest;
  readonly watch: EngineWatch;
  readonly down: DownTracing;
  readonly figures: Readonly<TracingFigures>;
  close(): Promise<void>;
}

/** `stateOf`: the leader's memory of a pool, undefined where this manager does not lead. */
export async function traceManager(
  config: Pick<ManagerConfig, "tracing" | "topicPrefix">,
  deps: {
    readonly clock: Clock;
    readonly log: Log;
    readonly stateOf: (pool: string) => ControlState | undefined;
  },
): Promise<ManagerTracing | undefined> {
  const tracing = await openTracing(config.tracing, deps);
  if (!tracing) return undefined;
  const wire = { prefix: config.topicPrefix, clientId: managerUsername };
  return {
    request: traceRequests(tracing),
    watch: traceBatches({ tracing, wire, stateOf: deps.stateOf }),
    down: traceDownlinks(tracing, wire, (pool, attemptId) => deps.stateOf(pool)?.attempts.get(attemptId)?.run.row.trace),
    figures: tracing.figures,
    close: () => tracing.close(),
  };
}
