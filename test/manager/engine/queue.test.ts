import { expect, test } from "vitest";
import { InputQueue } from "../../../manager/engine/queue.ts";
import type { Input } from "../../../manager/control/inputs.ts";

type Message = Extract<Input, { readonly workerId: string }>;

const beat = (mono: number): Message =>
  ({ kind: "heartbeat", workerId: "w1", message: { v: 1, epoch: "a", connection: 1, mono } }) as unknown as Message;
const reports = (workerId: string): Message =>
  ({ kind: "reports", workerId, message: { items: [], unreadable: [] } }) as unknown as Message;

test("a worker has one heartbeat waiting, the newest, in the place of the oldest", () => {
  const queue = new InputQueue();
  queue.pushMessage(beat(1), 100, 0);
  queue.pushMessage(reports("w1"), 100, 0);
  queue.pushMessage(beat(2), 100, 0);
  const taken = queue.take(10);
  expect(taken.map((each) => each.input.kind)).toEqual(["heartbeat", "reports"]);
  expect(taken[0]?.input).toMatchObject({ message: { mono: 2 } });
  queue.pushMessage(beat(3), 100, 0);
  expect(queue.take(10)).toHaveLength(1);
});

test("one worker's flood of reports is dropped beyond its bound and takes nobody else's room", () => {
  const queue = new InputQueue();
  let accepted = 0;
  while (queue.pushMessage(reports("flood"), 20_000, 0)) accepted += 1;
  expect(accepted).toBe(6);
  expect(queue.pushMessage(reports("w2"), 60_000, 0)).toBe(true);
  queue.take(1);
  expect(queue.pushMessage(reports("flood"), 20_000, 0)).toBe(true);
});

test("requests are counted and can be taken out, in order, without the messages", () => {
  const queue = new InputQueue();
  for (const ticket of [1, 2, 3]) {
    queue.pushRequest(
      { kind: "request", ticket, request: { kind: "stopRun", runId: "r", graceSeconds: null, by: "a", byReason: null } },
      0,
    );
    queue.pushMessage(reports(`w${ticket}`), 10, 0);
  }
  expect(queue.requests).toBe(3);
  expect(queue.takeRequests().map((each) => (each.input.kind === "request" ? each.input.ticket : 0))).toEqual([1, 2, 3]);
  expect(queue.requests).toBe(0);
  expect(queue.take(10)).toHaveLength(3);
});

test("take gives the oldest and leaves the rest in order", () => {
  const queue = new InputQueue();
  for (const worker of ["a", "b", "c"]) queue.pushMessage(reports(worker), 1, 0);
  expect(queue.take(2).map((each) => (each.input as Message).workerId)).toEqual(["a", "b"]);
  expect(queue.take(2).map((each) => (each.input as Message).workerId)).toEqual(["c"]);
  expect(queue.size).toBe(0);
});
