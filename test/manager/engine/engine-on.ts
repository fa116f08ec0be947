import { onTestFinished } from "vitest";
import roundRobin from "../../../manager/control/placement/round-robin.ts";
import type { EngineDeps } from "../../../manager/engine/deps.ts";
import { PoolEngine } from "../../../manager/engine/engine.ts";
import type { LeaderStore } from "../../../manager/store/store.ts";
import { processClock, type Clock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { systemDice } from "../../../schema/kit/random.ts";
import { timing } from "../../../schema/limits.ts";

/** Of a lease in memory, ms. A real database is given more. */
export const quickLease = { leaseRenewMs: 20, leaseStillMs: 200 };

/**
 * This process's clock without its absences: between two looks at it no more than `mostMs` pass. Two engines of one process are absent
 * together, and by the true clock the one that wakes first would find that the other's lease stood still.
 */
function clockWithoutAbsences(mostMs: number): Clock {
  let seen = processClock.now().mono;
  let mono = 0;
  return {
    now: () => {
      const now = processClock.now();
      mono += Math.min(now.mono - seen, mostMs);
      seen = now.mono;
      return { mono, wall: now.wall };
    },
  };
}

/** The pool `default`, small. */
export function poolOptions(): EngineDeps["options"] {
  return {
    pool: "default",
    timing: { ...timing },
    limits: { queueWindow: 100, waitingRuns: 1_000, prefetch: 2, taskCache: 10, logStreamBytes: 1_000 },
    placement: roundRobin(),
    sign: () => "signature",
  };
}

/** An engine, started, that wants to lead the pool `default`, with short times; it is stopped at the test's end. */
export function engineOn(store: LeaderStore, holder: string, lease = quickLease): PoolEngine {
  const engine = new PoolEngine({
    store,
    clock: clockWithoutAbsences(lease.leaseRenewMs),
    dice: systemDice,
    log: silentLog(),
    holder,
    options: poolOptions(),
    timing: { ...lease, tickMs: lease.leaseRenewMs, answerWithinMs: 60_000 },
    send: () => undefined,
    onEvents: () => undefined,
  });
  engine.start();
  onTestFinished(async () => await engine.stop());
  return engine;
}
