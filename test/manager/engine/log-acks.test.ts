import { expect, test } from "vitest";
import { LogAcks, type LogAck } from "../../../manager/engine/log-acks.ts";
import { wireLimits } from "../../../schema/limits.ts";

const ack = (attempt: string, offset: number): LogAck => ({ kind: "logsAck", attempt, stream: "stdout", offset });

test("of one stream only the newest waits, and each is taken once", () => {
  const acks = new LogAcks();
  acks.put("w1", ack("a", 1));
  acks.put("w1", ack("b", 2));
  acks.put("w1", ack("a", 3));
  acks.put("w2", ack("c", 4));
  expect(acks.size).toBe(2);
  expect(Object.fromEntries(acks.take())).toEqual({ w1: [ack("a", 3), ack("b", 2)], w2: [ack("c", 4)] });
  expect(acks.size).toBe(0);
  expect(acks.take().size).toBe(0);
});

test("a worker with very many streams keeps no more than one message's worth waiting, the newest", () => {
  const acks = new LogAcks();
  for (let i = 0; i < 10_000; i += 1) acks.put("w1", ack(`a${i}`, 1));
  const kept = acks.take().get("w1") ?? [];
  expect(kept).toHaveLength(wireLimits.itemsPerMessage);
  expect(kept.at(-1)?.attempt).toBe("a9999");
});
