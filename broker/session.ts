import { jitteredDelayMs, pause } from "../schema/kit/backoff.ts";
import { processClock, type Clock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { brokerLimits } from "../schema/limits.ts";
import type { Connection, Connector, ConnectOptions } from "./broker.ts";

export interface SessionOptions {
  readonly connector: Connector;
  /** Asked before each attempt. `attempt` counts from 1 and never starts again, so it can be a status' connection number. */
  readonly connectOptions: (attempt: number) => ConnectOptions;
  /** Subscribes and says hello. When it rejects, the connection is closed and counts as one that failed. */
  readonly onUp: (connection: Connection) => Promise<void>;
  /** Once after each `onUp`, also one that rejected, with why the connection ended. */
  readonly onDown: (why: string) => void;
  /** Each attempt that brought no connection, with the sentence that `/health` and the log show. */
  readonly onFailed?: (why: string) => void;
  /**
   * The delay doubles with each attempt. It starts again after a connection that held for `stableMs` (default 10 s), and after
   * one that held for a part of that it is no more than so many times the first: a fifth, five times.
   */
  readonly backoff: { readonly firstMs: number; readonly maxMs: number; readonly stableMs?: number };
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/**
 * Keeps one connection, one attempt at a time, until the signal aborts; then closes it with a goodbye and resolves. Never
 * rejects. Every attempt is a fresh connection: nothing of an old one (queues, subscriptions) can leak into it.
 */
export async function keepConnected(options: SessionOptions): Promise<void> {
  const { backoff, log, signal } = options;
  const clock = options.clock ?? processClock;
  const stableMs = backoff.stableMs ?? brokerLimits.stableConnectionMs;
  let doublings = 0;
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    const upMs = await oneConnection(options, attempt, clock);
    if (signal.aborted) return;
    if (upMs !== undefined) doublings = Math.min(doublings, doublingsAfter(upMs, stableMs));
    const delayMs = jitteredDelayMs(doublings, backoff, options.random());
    doublings += 1;
    log.debug({ attempt, delayMs }, "connects again after a pause");
    await pause(delayMs, signal);
  }
}

/**
 * A connection that breaks at once is a failure as well: two clients with one id take it from each other for ever, and a
 * thousand clients would hammer a broker that lets them in and drops them. The longer it held, the less is to be feared: the
 * pauses are such that nobody comes more often than each 3 s on average, whenever the broker drops it.
 */
function doublingsAfter(upMs: number, stableMs: number): number {
  return upMs >= stableMs ? 0 : Math.floor(Math.log2(stableMs / Math.max(1, upMs)));
}

/** How long the connection held, in milliseconds; undefined when there was none. */
async function oneConnection(options: SessionOptions, attempt: number, clock: Clock): Promise<number | undefined> {
  const { log, signal } = options;
  let connection: Connection;
  try {
    connection = await options.connector.connect(options.connectOptions(attempt), signal);
  } catch (error) {
    if (!signal.aborted) {
      log.warn({ attempt, why: sentence(error) }, "not connected to the broker");
      options.onFailed?.(sentence(error));
    }
    return undefined;
  }
  const since = clock.now().mono;
  const goodbye = (): void => void closeQuietly(connection, log);
  signal.addEventListener("abort", goodbye, { once: true });
  if (signal.aborted) goodbye();
  let failed: string | undefined;
  const up = options.onUp(connection).catch((error: unknown) => {
    failed = sentence(error);
    return closeQuietly(connection, log);
  });
  const ended = await connection.closed;
  signal.removeEventListener("abort", goodbye);
  await up;
  const why = failed ?? ended;
  log.info({ attempt, why }, "the connection to the broker has ended");
  options.onDown(why);
  return failed === undefined ? clock.now().mono - since : undefined;
}

async function closeQuietly(connection: Connection, log: Log): Promise<void> {
  try {
    await connection.close();
  } catch (error) {
    // `closed` resolves all the same, and that is what the loop waits for.
    log.debug({ err: error }, "closing the connection failed");
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
