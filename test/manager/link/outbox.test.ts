import { expect, test } from "vitest";
import type { Connection } from "../../../broker/broker.ts";
import { Outbox } from "../../../manager/link/outbox.ts";
import { wireLimits } from "../../../schema/limits.ts";
import { commandsEnvelope, type DownItem } from "../../../schema/messages.ts";

function fakeConnection(): { connection: Connection; sent: { topic: string; payload: Uint8Array }[] } {
  const sent: { topic: string; payload: Uint8Array }[] = [];
  const connection: Connection = {
    publish: (topic, payload) => {
      sent.push({ topic, payload });
      return Promise.resolve();
    },
    subscribe: () => Promise.resolve(),
    closed: new Promise(() => undefined),
    close: () => Promise.resolve(),
  };
  return { connection, sent };
}

const asOf = { epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB", mono: 7 };
const stop = (attempt: string, by: string): DownItem => ({ kind: "stop", attempt, by, graceSeconds: 1 });
const envelope = (items: readonly DownItem[]) => ({ pool: "default", workerId: "w1", term: 4, asOf, items });

test("items of one worker share messages within the bound, in order, none lost", () => {
  const { connection, sent } = fakeConnection();
  const outbox = new Outbox("muster", () => undefined);
  outbox.use(connection);
  const items = Array.from({ length: 400 }, (_, i) => stop(`a${i}`, "é".repeat(240)));
  outbox.send(envelope(items));
  expect(sent.length).toBeGreaterThan(1);
  const back = sent.flatMap(({ topic, payload }) => {
    expect(topic).toBe("muster/v1/default/w1/down/commands");
    expect(payload.byteLength).toBeLessThanOrEqual(wireLimits.payloadBytes);
    const parsed = commandsEnvelope.parse(JSON.parse(Buffer.from(payload).toString()));
    expect(parsed).toMatchObject({ term: 4, asOf });
    return parsed.items;
  });
  expect(back).toEqual(items);
});

test("an item that no message can hold is named and its neighbours go", () => {
  const { connection, sent } = fakeConnection();
  const named: string[] = [];
  const outbox = new Outbox("muster", (workerId, item) => named.push(`${workerId} ${item.kind}`));
  outbox.use(connection);
  outbox.send(envelope([stop("a1", "x"), stop("a2", "x".repeat(70_000)), stop("a3", "x")]));
  expect(named).toEqual(["w1 stop"]);
  expect(sent).toHaveLength(1);
  expect(outbox.figures.tooLarge).toBe(1);
});

test("without a connection a message is counted as lost, and nothing waits", () => {
  const outbox = new Outbox("muster", () => undefined);
  outbox.send(envelope([stop("a1", "x")]));
  expect(outbox.figures).toEqual({ published: 0, publishedBytes: 0, lost: 1, tooLarge: 0 });
});
