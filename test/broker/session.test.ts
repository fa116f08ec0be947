import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Connection, Connector, ConnectOptions } from "../../broker/broker.ts";
import { keepConnected, type SessionOptions } from "../../broker/session.ts";
import { silentLog } from "../../schema/kit/log.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const backoff = { firstMs: 1_000, maxMs: 8_000, stableMs: 60_000 };

/** A connector whose attempts succeed or fail as the test says, and that notices when two are open at once. */
class Attempts implements Connector {
  /** Milliseconds of the fake clock at which each attempt was made. */
  readonly madeAt: number[] = [];
  readonly options: ConnectOptions[] = [];
  fail: string | undefined;
  open = 0;
  mostOpen = 0;
  goodbyes = 0;
  /** Each connection ends by itself after so long. */
  dropAfterMs: number | undefined;
  #end: ((why: string) => void) | undefined;

  async connect(options: ConnectOptions, signal: AbortSignal): Promise<Connection> {
    this.madeAt.push(performance.now());
    this.options.push(options);
    signal.throwIfAborted();
    if (this.fail !== undefined) throw new Error(this.fail);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const closed = Promise.withResolvers<string>();
    let ended = false;
    const end = (why: string): void => {
      if (ended) return;
      ended = true;
      this.open -= 1;
      closed.resolve(why);
    };
    this.#end = end;
    if (this.dropAfterMs !== undefined) setTimeout(() => end("dropped"), this.dropAfterMs);
    return {
      closed: closed.promise,
      publish: async () => undefined,
      subscribe: async () => undefined,
      close: async () => {
        this.goodbyes += 1;
        end("closed by this side");
      },
    };
  }

  async end(why: string): Promise<void> {
    this.#end?.(why);
    await vi.advanceTimersByTimeAsync(0);
  }
}

function start(connector: Attempts, more: Partial<SessionOptions> = {}) {
  const stop = new AbortController();
  const seen: string[] = [];
  const done = keepConnected({
    connector,
    connectOptions: (attempt) => ({ clientId: `c-${attempt}`, take: () => undefined }),
    onUp: async () => void seen.push("up"),
    onDown: (why) => seen.push(`down: ${why}`),
    onFailed: (why) => seen.push(`failed: ${why}`),
    backoff,
    random: () => 0.999_999,
    // The global one is the fake one.
    clock: { now: () => ({ mono: performance.now(), wall: 0 }) },
    log: silentLog(),
    signal: stop.signal,
    ...more,
  });
  return { stop, seen, done };
}

test("failed attempts come with doubling delays up to the bound, and are numbered from 1", async () => {
  const connector = new Attempts();
  connector.fail = "nobody there";
  const { stop, seen, done } = start(connector);
  await vi.advanceTimersByTimeAsync(40_000);
  const delays = connector.madeAt.slice(1).map((at, n) => Math.round(at - (connector.madeAt[n] as number)));
  expect(delays.slice(0, 6)).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  expect(connector.options.map(({ clientId }) => clientId).slice(0, 3)).toEqual(["c-1", "c-2", "c-3"]);
  expect(new Set(seen)).toEqual(new Set(["failed: nobody there"]));
  stop.abort();
  await done;
});

test("the delay is drawn from nothing to the whole", async () => {
  const draws = [0, 0.5, 0.25];
  const connector = new Attempts();
  connector.fail = "nobody there";
  const { stop, done } = start(connector, { random: () => draws.shift() ?? 0.75 });
  await vi.advanceTimersByTimeAsync(8_000);
  expect(connector.madeAt.slice(1, 5).map((at, n) => Math.round(at - (connector.madeAt[n] as number)))).toEqual([
    0, 1_000, 1_000, 6_000,
  ]);
  stop.abort();
  await done;
});

test("a connection that held starts the delays anew, one that broke at once does not", async () => {
  const connector = new Attempts();
  const { stop, seen, done } = start(connector);
  await vi.advanceTimersByTimeAsync(0);
  await connector.end("broke"); // 1,000 ms until the next
  await vi.advanceTimersByTimeAsync(1_000);
  await connector.end("broke again"); // 2,000
  await vi.advanceTimersByTimeAsync(1_999);
  expect(connector.madeAt).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1);
  expect(connector.madeAt).toHaveLength(3);
  await vi.advanceTimersByTimeAsync(backoff.stableMs);
  await connector.end("broke late"); // 1,000 again
  await vi.advanceTimersByTimeAsync(1_000);
  expect(connector.madeAt).toHaveLength(4);
  expect(seen).toEqual(["up", "down: broke", "up", "down: broke again", "up", "down: broke late", "up"]);
  expect(connector.mostOpen).toBe(1);
  stop.abort();
  await done;
});

describe("a client as a worker is one: from a second to half a minute", () => {
  const worker = { firstMs: 1_000, maxMs: 30_000 };

  test("a break comes after a long time without a broker: it is back within 5 s when the connection held for two", async () => {
    const connector = new Attempts();
    const { stop, done } = start(connector, { backoff: worker });
    for (const heldMs of [2_000, 3_000, 9_000, 10_000, 100_000]) {
      connector.fail = "nobody there";
      await connector.end("the broker went");
      await vi.advanceTimersByTimeAsync(600_000);
      connector.fail = undefined;
      while (connector.open === 0) await vi.advanceTimersByTimeAsync(500);
      await vi.advanceTimersByTimeAsync((connector.madeAt.at(-1) as number) + heldMs - performance.now());
      await connector.end("broke");
      expect(connector.open).toBe(0);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(connector.open, `it held for ${heldMs} ms`).toBe(1);
    }
    stop.abort();
    await done;
  });

  test("several breaks within a minute bring no long pause, as long as each connection held a little", async () => {
    const connector = new Attempts();
    const { stop, done } = start(connector, { backoff: worker });
    await vi.advanceTimersByTimeAsync(0);
    for (let breaks = 0; breaks < 8; breaks += 1) {
      await vi.advanceTimersByTimeAsync(3_000);
      await connector.end("broke");
      await vi.advanceTimersByTimeAsync(2_001);
      expect(connector.open).toBe(1);
    }
    stop.abort();
    await done;
  });

  test("a thousand clients that a broker lets in and drops do not hammer it, whenever it drops them", async () => {
    for (const heldMs of [0, 100, 330, 1_000, 2_000, 3_000, 5_000, 9_999, 10_000]) {
      const connector = new Attempts();
      connector.dropAfterMs = heldMs;
      let draw = 0;
      // Evenly spread, as a thousand clients' draws are together.
      const random = (): number => ((draw += 7) % 20) / 20;
      const { stop, done } = start(connector, { backoff: worker, random });
      await vi.advanceTimersByTimeAsync(100_000);
      connector.madeAt.length = 0;
      await vi.advanceTimersByTimeAsync(600_000);
      const perSecond = (connector.madeAt.length / 600) * 1_000;
      // The embedded broker lets 500 in a second.
      expect(perSecond, `held for ${heldMs} ms`).toBeLessThan(heldMs < 330 ? 80 : 360);
      stop.abort();
      await done;
    }
  });
});

test("an onUp that rejects closes the connection, counts as a failure, and says why", async () => {
  const connector = new Attempts();
  const { stop, seen, done } = start(connector, { onUp: () => Promise.reject(new Error("not subscribed")) });
  await vi.advanceTimersByTimeAsync(1_500);
  expect(seen).toEqual(["down: not subscribed", "down: not subscribed"]);
  expect(connector).toMatchObject({ open: 0, goodbyes: 2, mostOpen: 1 });
  stop.abort();
  await done;
});

test("connectOptions that throw are a failed attempt, and the loop goes on", async () => {
  const connector = new Attempts();
  let broken = true;
  const { stop, seen, done } = start(connector, {
    connectOptions: () => {
      if (broken) throw new Error("the journal is full");
      return { clientId: "c", take: () => undefined };
    },
  });
  await vi.advanceTimersByTimeAsync(0);
  broken = false;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen).toEqual(["failed: the journal is full", "up"]);
  stop.abort();
  await done;
});

test("the end says goodbye to an open connection and resolves", async () => {
  const connector = new Attempts();
  const { stop, seen, done } = start(connector);
  await vi.advanceTimersByTimeAsync(0);
  stop.abort();
  await done;
  expect(connector).toMatchObject({ open: 0, goodbyes: 1 });
  expect(seen).toEqual(["up", "down: closed by this side"]);
});

test("the end comes at once in a pause, and nothing is tried after it", async () => {
  const connector = new Attempts();
  connector.fail = "nobody there";
  const { stop, done } = start(connector);
  await vi.advanceTimersByTimeAsync(100);
  stop.abort();
  await done;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(connector.madeAt).toHaveLength(1);
});

test("a signal that was aborted before the start connects nothing", async () => {
  const connector = new Attempts();
  await start(connector, { signal: AbortSignal.abort() }).done;
  expect(connector.madeAt).toEqual([]);
});
