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
  expect(queue.dropRequests((ticket) => ticket === 2)).toEqual([2]);
  expect(queue.requests).toBe(2);
  expect(queue.dropRequests(() => true)).toEqual([1, 3]);
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

const hello = (connection: number, part: number, of: number): Message =>
  ({
    kind: "hello",
    workerId: "w1",
    message: { epoch: "e", connection, mono: connection * 10, inventory: { part, of } },
  }) as Message;

test("of repeated hellos only the parts of the newest wait, however long nobody takes them", () => {
  const queue = new InputQueue();
  queue.pushMessage(reports("w2"), 1, 0);
  for (let connection = 1; connection <= 1_000; connection += 1)
    for (const part of [1, 2]) expect(queue.pushMessage(hello(connection, part, 2), 60_000, 0)).toBe(true);
  const taken = queue.take(10);
  expect(taken.map((each) => each.input.kind)).toEqual(["reports", "hello", "hello"]);
  expect(taken.slice(1).map((each) => each.input)).toMatchObject([
    { message: { connection: 1_000, inventory: { part: 1 } } },
    { message: { connection: 1_000, inventory: { part: 2 } } },
  ]);
  expect(queue.pushMessage(hello(1_001, 1, 1), 60_000, 0)).toBe(true);
});

test("one batch takes no more bytes than it may, and one input at least", () => {
  const queue = new InputQueue();
  for (const worker of ["a", "b", "c", "d"]) queue.pushMessage(reports(worker), 60_000, 0);
  expect(queue.take(10, 130_000)).toHaveLength(2);
  expect(queue.take(10, 10)).toHaveLength(1);
  expect(queue.take(10, 130_000)).toHaveLength(1);
  expect(queue.take(10, 130_000)).toHaveLength(0);
});

test("requests are bounded by what they carry, not only by their number", () => {
  const queue = new InputQueue();
  const params = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`p${i}`, "x".repeat(1_000)]));
  const item = {
    taskId: "t",
    runId: "r",
    mayExist: false,
    params,
    workerId: null,
    labels: {},
    idempotencyKey: null,
    bodyHash: "",
    trace: "",
  };
  let taken = 0;
  for (; !queue.isFull && taken < 1_000; taken += 1) {
    const request = { kind: "startRuns", items: Array.from({ length: 60 }, () => item), by: "a", byReason: null } as const;
    queue.pushRequest({ kind: "request", ticket: taken, request }, 0);
  }
  // About a megabyte each, and 64 may wait.
  expect(taken).toBeGreaterThan(50);
  expect(taken).toBeLessThan(80);
  queue.take(10);
  expect(queue.isFull).toBe(false);
  queue.dropRequests(() => true);
  expect(queue.requests).toBe(0);
});
