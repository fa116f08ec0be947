import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { processClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import type { EventRecord } from "../../../manager/control/records.ts";
import { EventTail } from "../../../manager/engine/tail.ts";
import { numberAfter } from "../../../manager/store/read-events.ts";
import type { EventFilter } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A database that managers write, and what a listener at one of them hears. */
class World {
  readonly stored = new Map<string, EventRecord[]>();
  /** Pool → the term of its lead here. */
  readonly led = new Map<string, number>();
  #terms = 0;
  readonly heard: string[] = [];
  reads = 0;
  looks = 0;
  fails = false;
  /** Held back until somebody calls it: a read that is on its way. */
  gate: Promise<void> | undefined;
  readonly tail: EventTail;

  constructor(alone = false) {
    this.tail = new EventTail({
      store: {
        lastEvents: async () => {
          this.looks += 1;
          if (this.fails) throw new Error("the database is away");
          return Object.fromEntries([...this.stored].map(([pool, events]) => [pool, events.length]));
        },
        events: async (filter) => await this.#events(filter),
      },
      termOf: (pool) => this.led.get(pool),
      newestOf: (pool) => (this.led.has(pool) ? (this.stored.get(pool)?.length ?? 0) : undefined),
      alone,
      clock: processClock,
      log: silentLog(),
    });
  }

  lead(pool: string): void {
    this.led.set(pool, (this.#terms += 1));
  }

  async #events(filter: EventFilter): Promise<EventRecord[]> {
    this.reads += 1;
    if (this.fails) throw new Error("the database is away");
    const found = [...this.stored].flatMap(([pool, events]) =>
      events.filter((event) => event.number > numberAfter(filter, pool)),
    );
    await this.gate;
    return found.slice(0, filter.limit);
  }

  /** Somebody commits `count` events; `here`: this manager's own engine, which publishes them unless it is late. */
  commit(pool: string, count: number, { here = false, late = false } = {}): EventRecord[] {
    const events = this.stored.get(pool) ?? [];
    this.stored.set(pool, events);
    const made = Array.from({ length: count }, (_, n) => eventOf(pool, events.length + 1 + n));
    events.push(...made);
    if (here && !late) this.tail.publish(made);
    return made;
  }

  listen(): void {
    stops.push(this.tail.subscribe((events) => this.heard.push(...events.map(({ pool, number }) => `${pool}:${number}`))));
  }

  heardOf(pool: string): number[] {
    return this.heard.filter((one) => one.startsWith(`${pool}:`)).map((one) => Number(one.slice(pool.length + 1)));
  }
}

function eventOf(pool: string, number: number): EventRecord {
  const at = number;
  return { pool, number, at, kind: "runQueued", taskId: null, runId: "r", attemptId: null, workerId: null, by: null, data: {} };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n);
}

test("what is committed after a listener is heard reaches it, from engines here and from other managers, also of a new pool", async () => {
  const world = new World();
  world.lead("a");
  world.commit("a", 3);
  world.commit("b", 5);
  world.listen();
  await world.tail.hearing();
  world.commit("a", 2, { here: true });
  world.commit("b", 4);
  await until("all of both", () => world.heard.length === 6);
  expect([world.heardOf("a"), world.heardOf("b")]).toEqual([range(4, 5), range(6, 9)]);
  world.commit("c", 2);
  await until("the new pool", () => world.heardOf("c").length === 2);
});

test("a database that was taken back begins again at lower numbers, and who waits for events of its runs still hears them", async () => {
  const world = new World();
  world.lead("a");
  world.commit("a", 2);
  world.listen();
  await world.tail.hearing();
  world.commit("a", 5, { here: true });
  world.stored.set("a", (world.stored.get("a") ?? []).slice(0, 3));
  world.lead("a");
  world.commit("a", 2, { here: true });
  world.commit("a", 1, { here: true });
  await until("all", () => world.heard.length === 8);
  expect(world.heardOf("a")).toEqual([...range(3, 7), ...range(4, 6)]);
});

test("also where another manager leads, as soon as the lower numbers were seen", async () => {
  const world = new World();
  world.commit("a", 2);
  world.listen();
  await world.tail.hearing();
  world.commit("a", 5);
  await until("all of them", () => world.heard.length === 5);
  world.stored.set("a", (world.stored.get("a") ?? []).slice(0, 3));
  const before = world.looks;
  await until("the lower numbers to be seen", () => world.looks > before + 1);
  world.commit("a", 2);
  await until("what is new", () => world.heard.length === 7);
  expect(world.heardOf("a")).toEqual([...range(3, 7), ...range(4, 5)]);
});

test("nobody listens: nothing is read", async () => {
  const world = new World();
  world.commit("b", 5);
  world.listen();
  await world.tail.hearing();
  await until("a look", () => world.reads > 0);
  for (const stop of stops.splice(0)) stop();
  const { reads } = world;
  world.tail.publish(world.commit("b", 1));
  await world.tail.hearing();
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect([world.reads, world.heard]).toEqual([reads, []]);
});

test("when this manager takes the lead, what the leader before it wrote comes first", async () => {
  const world = new World();
  world.commit("a", 2);
  world.listen();
  await world.tail.hearing();
  world.commit("a", 3);
  world.lead("a");
  world.commit("a", 2, { here: true });
  world.commit("a", 2, { here: true });
  await until("all", () => world.heard.length === 7);
  expect(world.heardOf("a")).toEqual(range(3, 9));
});

test("an own event that comes while an older page is read does not overtake it", async () => {
  const world = new World();
  world.listen();
  await world.tail.hearing();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.gate = promise;
  world.commit("a", 3);
  const before = world.reads;
  await until("a read to be on its way", () => world.reads > before);
  world.lead("a");
  world.commit("a", 1, { here: true });
  world.gate = undefined;
  resolve();
  await until("all", () => world.heard.length === 4);
  expect(world.heardOf("a")).toEqual(range(1, 4));
});

test("what an engine has committed and not published, because it lost its lead, is read from the store", async () => {
  for (const alone of [false, true]) {
    const world = new World(alone);
    world.lead("a");
    world.listen();
    await world.tail.hearing();
    world.commit("a", 2, { here: true });
    world.commit("a", 2, { here: true, late: true });
    world.commit("a", 1, { here: true });
    await until("all", () => world.heard.length === 5);
    expect(world.heardOf("a")).toEqual(range(1, 5));
  }
});

test("what the leader before wrote last is heard although nothing is written after it: the lead moved here between two looks", async () => {
  for (const alone of [false, true]) {
    const world = new World(alone);
    world.commit("a", 2);
    if (alone) world.lead("a");
    world.listen();
    await world.tail.hearing();
    // A leader that is stopped gives its lease back at once, and a batch whose outcome was unknown is published by nobody.
    world.commit("a", 3);
    world.lead("a");
    await until("the last words", () => world.heard.length === 3);
    expect(world.heardOf("a")).toEqual(range(3, 5));
    const { reads } = world;
    world.commit("a", 1, { here: true });
    await until("an own one", () => world.heard.length === 4);
    await new Promise((resolve) => setTimeout(resolve, 250));
    if (alone) expect(world.reads, "who leads reads no more").toBe(reads);
    for (const stop of stops.splice(0)) stop();
  }
});

test("a store that is away is asked again, and who begins to listen then is told", async () => {
  const world = new World();
  world.fails = true;
  world.listen();
  await expect(world.tail.hearing()).rejects.toThrow("the database is away");
  world.fails = false;
  await world.tail.hearing();
  world.commit("a", 1);
  await until("it", () => world.heard.length === 1);
});

test("whatever the order of commits, publications and leads: each event once, in order", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("commit" as const), pool: fc.constantFrom("a", "b"), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant("lead" as const), pool: fc.constantFrom("a", "b") }),
    fc.record({ do: fc.constant("lose" as const), pool: fc.constantFrom("a", "b"), unpublished: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ do: fc.constant("turn" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const world = new World();
      const start = { a: world.commit("a", 2).length, b: 0 };
      world.listen();
      await world.tail.hearing();
      for (const one of steps) {
        switch (one.do) {
          case "commit":
            world.commit(one.pool, one.count, { here: world.led.has(one.pool) });
            break;
          case "lead":
            world.lead(one.pool);
            break;
          case "lose":
            if (world.led.has(one.pool) && one.unpublished > 0)
              world.commit(one.pool, one.unpublished, { here: true, late: true });
            world.led.delete(one.pool);
            break;
          case "turn":
            await new Promise((resolve) => setImmediate(resolve));
        }
      }
      // Who leads goes on to write, or does not: then somebody else reads.
      world.led.clear();
      await until("all to be heard", () =>
        (["a", "b"] as const).every((pool) => world.heardOf(pool).length >= (world.stored.get(pool)?.length ?? 0) - start[pool]),
      );
      for (const pool of ["a", "b"] as const)
        expect(world.heardOf(pool)).toEqual(range(start[pool] + 1, world.stored.get(pool)?.length ?? 0));
      for (const stop of stops.splice(0)) stop();
    }),
    { numRuns: 15 },
  );
});
