import { onTestFinished } from "vitest";
import roundRobin from "../../../../manager/control/placement/round-robin.ts";
import { PoolEngine } from "../../../../manager/engine/engine.ts";
import { openConnections } from "../../../../manager/store/mariadb/connection.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import type { Store } from "../../../../manager/store/store.ts";
import { processClock } from "../../../../schema/kit/clock.ts";
import { silentLog } from "../../../../schema/kit/log.ts";
import { systemDice } from "../../../../schema/kit/random.ts";
import { timing } from "../../../../schema/limits.ts";

/** A store on the database of the URL, for the running test. */
export async function storeAt(url: string): Promise<Store> {
  const store = await openMariadbStore(await openConnections(url));
  onTestFinished(async () => await store[Symbol.asyncDispose]());
  return store;
}

/** The URL by way of a proxy. */
export function through(url: string, port: number): string {
  return url.replace(/:\d+\//, `:${port}/`);
}

/** An engine that wants to lead the pool `default`, with short times; it is stopped at the test's end. */
export function engineOn(store: Store, holder: string): PoolEngine {
  const engine = new PoolEngine({
    store,
    clock: processClock,
    dice: systemDice,
    log: silentLog(),
    holder,
    options: {
      pool: "default",
      timing: { ...timing },
      limits: { queueWindow: 100, waitingRuns: 1_000, prefetch: 2, taskCache: 10, logStreamBytes: 1_000 },
      placement: roundRobin(),
      sign: () => "signature",
    },
    timing: { leaseRenewMs: 50, leaseStillMs: 400, tickMs: 50, answerWithinMs: 60_000 },
    send: () => undefined,
    onEvents: () => undefined,
  });
  engine.start();
  onTestFinished(async () => await engine.stop());
  return engine;
}
