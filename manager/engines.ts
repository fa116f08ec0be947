/** The engines of the pools that a manager serves, as its configuration has them. */
import { createHmac } from "node:crypto";
import { processClock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { systemDice } from "../schema/kit/random.ts";
import { managerLimits, timing } from "../schema/limits.ts";
import type { ManagerConfig } from "./config.ts";
import type { ControlOptions } from "./control/core.ts";
import { PoolEngine } from "./engine/engine.ts";
import type { EventFeed } from "./engine/plane.ts";
import type { EngineWatch } from "./engine/watch.ts";
import type { Outbox } from "./link/outbox.ts";
import { holderText, type Holder } from "./peers/holder.ts";
import { loadPlacement } from "./placement.ts";
import type { Store } from "./store/store.ts";

export interface EngineParts {
  readonly config: ManagerConfig;
  readonly store: Store;
  readonly feed: Pick<EventFeed, "publish">;
  readonly outbox: Pick<Outbox, "send">;
  readonly log: Log;
  readonly watch: EngineWatch;
  /** How this manager names itself in its leases. */
  readonly self: Holder;
  /** The lead of a pool has moved. */
  readonly onLead: (pool: string) => void;
}

/** An engine for each pool that the manager serves; none runs yet. */
export async function makeEngines(parts: EngineParts): Promise<Map<string, PoolEngine>> {
  const { config, store, feed, outbox, log, watch } = parts;
  const key = await store.secret("ticket");
  const sign = (text: string): string => createHmac("sha256", key).update(text).digest("base64url");
  const holder = holderText(parts.self);
  const engines = new Map<string, PoolEngine>();
  for (const pool of config.pools) {
    const options: Omit<ControlOptions, "term"> = {
      pool,
      timing: { ...timing, ...config.timing },
      limits: {
        queueWindow: managerLimits.queueWindow,
        waitingRuns: config.limits.waitingRuns,
        prefetch: managerLimits.prefetch,
        taskCache: managerLimits.taskCache,
        logStreamBytes: config.limits.logStreamBytes,
      },
      placement: (await loadPlacement(config.placement))(),
      sign,
    };
    const engine = new PoolEngine({
      store,
      clock: processClock,
      dice: systemDice,
      log,
      holder,
      options,
      timing: {
        leaseRenewMs: config.timing.leaseRenewMs,
        leaseStillMs: config.timing.leaseStillMs,
        // The first is this manager's own, so that managers which begin with different pools share them.
        freeAfterMs: pool === config.pools[0] ? 0 : config.timing.leaseRenewMs * 2,
        tickMs: Math.min(1_000, config.timing.heartbeatMs / 2),
        answerWithinMs: timing.answerWithinMs,
      },
      send: (workerId, term, command) => outbox.send({ pool, workerId, term, asOf: command.asOf, items: command.items }),
      onEvents: (events) => feed.publish(events),
      onLead: () => parts.onLead(pool),
      watch,
    });
    engines.set(pool, engine);
  }
  return engines;
}
