/** What every implementation of the wire's seam keeps, whichever broker is behind it. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Connector } from "../../broker/broker.ts";
import { wireLimits } from "../../schema/limits.ts";
import { commandsTopic, downlinkFilter, uplinkFilter, uplinkTopic } from "../../schema/topics.ts";
import { bytes, hear, text } from "../broker/rig.ts";
import { until } from "../kit/until.ts";

export interface BrokerUnderTest extends AsyncDisposable {
  readonly prefix: string;
  /** A connector with a manager's rights (client id `manager`), and one with a worker's (its client id). */
  manager(): Connector;
  worker(id: string): Connector;
  /** Ends the connection of a client id without its goodbye. */
  cut(clientId: string): void;
  /** It publishes no will for a connection that another one of its client id replaced. */
  readonly noWillAtTakeover?: boolean;
}

/** `missing`: why this broker cannot be run here; its tests are then skipped with that reason. */
export function brokerContract(name: string, start: () => Promise<BrokerUnderTest>, missing?: string): void {
  describe(`the wire: ${name}`, () => {
    let broker: BrokerUnderTest;
    beforeEach(async (ctx) => {
      if (missing !== undefined) ctx.skip(missing);
      broker = await start();
    });
    afterEach(() => broker?.[Symbol.asyncDispose]());

    const up = (worker: string, kind: "reports" | "status" | "heartbeat" = "reports"): string =>
      uplinkTopic(broker.prefix, "default", worker, kind);
    const down = (worker: string): string => commandsTopic(broker.prefix, "default", worker);
    const manager = async () => {
      const connection = await hear(broker.manager(), "manager");
      await connection.subscribe(uplinkFilter(broker.prefix, "default"));
      return connection;
    };
    const worker = async (id: string, status?: string) => {
      const will = status === undefined ? undefined : { topic: up(id, "status"), payload: bytes(status), retain: true };
      const connection = await hear(broker.worker(id), id, will);
      await connection.subscribe(downlinkFilter(broker.prefix, "default", id));
      return connection;
    };

    test("500 messages up and 500 down arrive once each, in the order of publishing", async () => {
      const m = await manager();
      const w = await worker("edge-a");
      const numbers = Array.from({ length: 500 }, (_, n) => String(n));
      await Promise.all(
        numbers.flatMap((n) => [w.publish(up("edge-a"), bytes(n), { qos: 1 }), m.publish(down("edge-a"), bytes(n), { qos: 1 })]),
      );
      await until("1,000 deliveries", () => m.deliveries.length + w.deliveries.length >= 1_000);
      expect(m.deliveries.map(text)).toEqual(numbers);
      expect(w.deliveries.map(text)).toEqual(numbers);
    });

    test("both qualities of service arrive, and the bytes are those that were sent", async () => {
      const m = await manager();
      const w = await worker("edge-a");
      const everyByte = Uint8Array.from({ length: 256 }, (_, n) => n);
      await w.publish(up("edge-a", "heartbeat"), everyByte, { qos: 0 });
      await w.publish(up("edge-a"), everyByte, { qos: 1 });
      await until("two deliveries", () => m.deliveries.length === 2);
      expect(m.deliveries.map(({ topic }) => topic).toSorted()).toEqual([up("edge-a", "heartbeat"), up("edge-a")].toSorted());
      for (const delivery of m.deliveries) expect([...delivery.payload]).toEqual([...everyByte]);
    });

    test("a message reaches those whose filter matches and nobody else", async () => {
      const m = await manager();
      const a = await worker("edge-a");
      const b = await worker("edge-b");
      await m.publish(down("edge-a"), bytes("for a"), { qos: 1 });
      await m.publish(down("edge-b"), bytes("for b"), { qos: 1 });
      await until("one delivery each", () => a.deliveries.length > 0 && b.deliveries.length > 0);
      expect(a.deliveries.map(text)).toEqual(["for a"]);
      expect(b.deliveries.map(text)).toEqual(["for b"]);
      expect(m.deliveries).toEqual([]);
    });

    test("a retained status is told to later subscribers, until an empty one removes it", async () => {
      const live = await manager();
      const w = await worker("edge-a");
      await w.publish(up("edge-a", "status"), bytes("on"), { qos: 1, retain: true });
      await until("the live delivery", () => live.deliveries.length === 1);
      expect(live.deliveries[0]).toMatchObject({ topic: up("edge-a", "status"), retained: false });
      await live.close();

      const later = await manager();
      await until("the retained delivery", () => later.deliveries.length === 1);
      expect(later.deliveries[0]).toMatchObject({ topic: up("edge-a", "status"), retained: true });
      expect(text(later.deliveries[0])).toBe("on");
      await later.publish(up("edge-a", "status"), new Uint8Array(), { qos: 1, retain: true });
      await until("the removal", () => later.deliveries.length === 2);
      await later.close();

      const last = await manager();
      await w.publish(up("edge-a"), bytes("after"), { qos: 1 });
      await until("a later message", () => last.deliveries.length > 0);
      expect(last.deliveries.map(text)).toEqual(["after"]);
    });

    test("the will is published when the connection is cut, and not after a goodbye", async () => {
      const m = await manager();
      const cut = await worker("edge-a", "gone a");
      const closed = await worker("edge-b", "gone b");
      await closed.close();
      broker.cut("edge-a");
      await cut.closed;
      await until("a will", () => m.deliveries.length > 0);
      const witness = await worker("edge-c");
      await witness.publish(up("edge-c"), bytes("after"), { qos: 1 });
      await until("a later message", () => m.deliveries.length > 1);
      expect(m.deliveries.map(text)).toEqual(["gone a", "after"]);
      expect(m.deliveries[0]?.topic).toBe(up("edge-a", "status"));
    });

    test("a goodbye is said even while publishes wait to be acknowledged", async () => {
      const m = await manager();
      const w = await worker("edge-a", "gone");
      const outcomes = Promise.allSettled(
        Array.from({ length: 200 }, (_, n) => w.publish(up("edge-a"), bytes(String(n)), { qos: 1 })),
      );
      await w.close();
      for (const outcome of await outcomes)
        if (outcome.status === "rejected") expect(String(outcome.reason)).toContain("closed by this side");
      const witness = await worker("edge-b");
      await witness.publish(up("edge-b"), bytes("after"), { qos: 1 });
      await until("a later message", () => m.deliveries.some((delivery) => text(delivery) === "after"));
      expect(m.deliveries.filter(({ topic }) => topic === up("edge-a", "status"))).toEqual([]);
    });

    test("what is published or subscribed to after the end rejects, and says why it ended", async () => {
      const closed = await worker("edge-a");
      await closed.close();
      await closed.close();
      expect(await closed.closed).toContain("closed by this side");
      await expect(closed.publish(up("edge-a"), bytes("late"), { qos: 1 })).rejects.toThrow("closed by this side");
      await expect(closed.publish(up("edge-a"), bytes("late"), { qos: 0 })).rejects.toThrow("closed by this side");
      await expect(closed.subscribe(downlinkFilter(broker.prefix, "default", "edge-a"))).rejects.toThrow("closed by this side");
      const cut = await worker("edge-b");
      broker.cut("edge-b");
      const why = await cut.closed;
      expect(why).not.toBe("");
      await expect(cut.publish(up("edge-b"), bytes("late"), { qos: 1 })).rejects.toThrow(why);
    });

    test("a connection that has ended is delivered nothing more", async () => {
      const m = await manager();
      const w = await worker("edge-a");
      await w.close();
      const again = await worker("edge-a");
      await m.publish(down("edge-a"), bytes("new"), { qos: 1 });
      await until("a delivery to the new connection", () => again.deliveries.length === 1);
      expect(w.deliveries).toEqual([]);
    });

    test("a payload at the bound passes; one byte more rejects by name and the connection lives", async () => {
      const m = await manager();
      const w = await worker("edge-a");
      await w.publish(up("edge-a"), new Uint8Array(wireLimits.payloadBytes), { qos: 1 });
      await expect(w.publish(up("edge-a"), new Uint8Array(wireLimits.payloadBytes + 1), { qos: 1 })).rejects.toThrow(
        String(wireLimits.payloadBytes),
      );
      await w.publish(up("edge-a"), bytes("small"), { qos: 1 });
      await until("two deliveries", () => m.deliveries.length === 2);
      expect(m.deliveries.map(({ payload }) => payload.length)).toEqual([wireLimits.payloadBytes, 5]);
    });

    test("a second connection of a client id ends the first, whose will never comes after what the second says", async () => {
      const m = await manager();
      const first = await worker("edge-a", "gone 1");
      const second = await worker("edge-a", "gone 2");
      expect(await first.closed).not.toBe("");
      await second.publish(up("edge-a", "status"), bytes("on 2"), { qos: 1, retain: true });
      await until("the status", () => text(m.deliveries.at(-1)) === "on 2");
      await m.publish(down("edge-a"), bytes("hello"), { qos: 1 });
      await until("the second is delivered to", () => second.deliveries.length === 1);
      await second.publish(up("edge-a"), bytes("after"), { qos: 1 });
      await until("a later message", () => text(m.deliveries.at(-1)) === "after");
      expect(m.deliveries.map(text)).toEqual([...(broker.noWillAtTakeover ? [] : ["gone 1"]), "on 2", "after"]);
      expect(first.deliveries).toEqual([]);
    });

    test("a connection that is no longer wanted is not made", async () => {
      const stop = AbortSignal.abort();
      await expect(broker.worker("edge-a").connect({ clientId: "edge-a", take: () => undefined }, stop)).rejects.toThrow(
        "no longer wanted",
      );
    });
  });
}
