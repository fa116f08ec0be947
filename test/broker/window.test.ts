import { describe, expect, test } from "vitest";
import { publishWindow, type WindowMessage } from "../../broker/window.ts";
import { brokerLimits } from "../../schema/limits.ts";

const message = (bytes = 1): WindowMessage => ({ topic: "t", payload: new Uint8Array(bytes), qos: 1, retain: false });

describe("publish window", () => {
  test("holds its size on the wire and goes on with each acknowledgement, also of another than the oldest", async () => {
    const acks: ((error?: Error) => void)[] = [];
    const window = publishWindow((_message, done) => acks.push(done));
    const publishes = Array.from({ length: brokerLimits.publishWindow + 2 }, () => window.publish(message()));
    expect(acks).toHaveLength(brokerLimits.publishWindow);
    acks[5]?.();
    acks[5]?.(); // a broker that acknowledges twice frees one place
    await publishes[5];
    expect(acks).toHaveLength(brokerLimits.publishWindow + 1);
    acks[0]?.(new Error("not taken"));
    await expect(publishes[0]).rejects.toThrow("not taken");
    expect(acks).toHaveLength(brokerLimits.publishWindow + 2);
  });

  test("a wire that acknowledges at once takes any number in order", async () => {
    const sent: WindowMessage[] = [];
    const window = publishWindow((sending, done) => {
      sent.push(sending);
      done();
    });
    const messages = Array.from({ length: 5_000 }, (_, n) => message(n % 7));
    await Promise.all(messages.map((sending) => window.publish(sending)));
    expect(sent).toEqual(messages);
  });

  test("what passes the bound on messages or bytes rejects, and there is room again later", async () => {
    const acks: (() => void)[] = [];
    const window = publishWindow((_message, done) => acks.push(done));
    for (let n = 0; n < brokerLimits.publishWindow + brokerLimits.publishQueue; n += 1) void window.publish(message());
    await expect(window.publish(message())).rejects.toThrow(`${brokerLimits.publishQueue} messages`);
    acks[0]?.();
    void window.publish(message());

    const large = publishWindow(() => undefined);
    for (let n = 0; n < brokerLimits.publishWindow; n += 1) void large.publish(message());
    void large.publish(message(brokerLimits.publishQueueBytes));
    await expect(large.publish(message())).rejects.toThrow(`${brokerLimits.publishQueueBytes} bytes`);
  });

  test("its end rejects what is on the wire, what waits, and all that comes after", async () => {
    const window = publishWindow(() => undefined);
    const publishes = Array.from({ length: brokerLimits.publishWindow * 2 }, () => window.publish(message()));
    window.end(new Error("the wire was cut"));
    for (const outcome of await Promise.allSettled(publishes))
      expect(outcome).toMatchObject({ status: "rejected", reason: { message: "the wire was cut" } });
    await expect(window.publish(message())).rejects.toThrow("the wire was cut");
  });
});
