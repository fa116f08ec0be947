/** The manager's API, put together over its engines, and on a port. */
import type { Credentials } from "../broker/credentials-check.ts";
import { processClock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { systemDice } from "../schema/kit/random.ts";
import { version } from "../schema/kit/version.ts";
import { makeApp } from "./api/app.ts";
import { serveApi } from "./api/serve.ts";
import type { ManagerConfig } from "./config.ts";
import type { PoolEngine } from "./engine/engine.ts";
import { makePlane, type EventFeed } from "./engine/plane.ts";
import { EventTail } from "./engine/tail.ts";
import type { Peers } from "./peers/peers.ts";
import type { LogStore } from "./store/logstore.ts";
import type { Store } from "./store/store.ts";
import type { EngineCounts } from "./telemetry/metrics-engine.ts";
import { countHttp } from "./telemetry/metrics-http.ts";
import { exposeManager } from "./telemetry/metrics.ts";
import type { WireParts } from "./telemetry/metrics-wire.ts";
import type { ManagerTracing } from "./telemetry/tracing.ts";
import { warningsOf } from "./warnings.ts";

export interface ApiOnParts {
  readonly config: ManagerConfig;
  readonly store: Store;
  readonly logs: LogStore;
  readonly credentials: Credentials;
  readonly engines: ReadonlyMap<string, PoolEngine>;
  readonly feed: EventFeed;
  readonly wire: WireParts;
  readonly counts: EngineCounts;
  readonly tracing: ManagerTracing | undefined;
  readonly peers: Peers | undefined;
  readonly log: Log;
}

/** Puts the API over the engines and on its port. */
export async function startApi(parts: ApiOnParts): Promise<{ readonly url: string; close(): Promise<void> }> {
  const { config, store, logs, credentials, engines, feed, wire, counts, tracing, peers, log } = parts;
  const tail = new EventTail({
    store,
    termOf: (pool) => engines.get(pool)?.lead?.term,
    newestOf: (pool) => engines.get(pool)?.lead?.state.lastEvent,
    alone: peers === undefined,
    clock: processClock,
    log,
  });
  feed.subscribe((events) => tail.publish(events));
  const plane = makePlane(
    { engines, store, clock: processClock, wire: () => wire.link.state, warnings: warningsOf(config), peers },
    tail,
  );
  const workerLostAfterSeconds = (config.timing.heartbeatMs * config.timing.workerLostIntervals) / 1_000;
  const http = countHttp();
  const metrics = exposeManager({
    ...wire,
    engines,
    clock: processClock,
    counts,
    http,
    ready: () => isReady,
    streams: () => app.openStreams(),
    version,
    peers,
  });
  let isReady = false;
  const app = makeApp({
    metrics: {
      async text(format) {
        isReady = (await plane.ready()).ready;
        return await metrics.text(format);
      },
    },
    answered: http.answered,
    ...(tracing ? { traceRequest: tracing.request } : {}),
    plane,
    store,
    logs,
    credentials,
    clock: processClock,
    dice: systemDice,
    log,
    version,
    publicUrl: config.publicUrl,
    limits: { workerLostAfterSeconds },
  });
  const server = await serveApi(app, { host: config.httpHost, port: config.httpPort, log, door: peers?.door });
  const host = config.httpHost.includes(":") ? `[${config.httpHost}]` : config.httpHost;
  return { url: `http://${host}:${server.port}`, close: () => server.close() };
}
