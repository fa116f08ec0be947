import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { timing } from "../../schema/limits.ts";
import { countPresses } from "../../worker/presses.ts";

test("two signals that come together are one press; a later one is the second; a closing terminal is none", async () => {
  const source = new EventEmitter();
  let mono = 1_000;
  using presses = countPresses(source, { now: () => ({ mono, wall: 0 }) });
  const reached: number[] = [];
  void presses.reached(1).then(() => reached.push(1));
  void presses.reached(2).then(() => reached.push(2));
  source.emit("SIGHUP");
  await Promise.resolve();
  expect(reached).toEqual([]);
  source.emit("SIGINT");
  mono += timing.sameSignalMs - 1;
  source.emit("SIGTERM");
  await presses.reached(1);
  expect(reached).toEqual([1]);
  mono += timing.sameSignalMs;
  source.emit("SIGINT");
  await presses.reached(2);
  expect(reached).toEqual([1, 2]);
});

test("lets go of the signals", () => {
  const source = new EventEmitter();
  countPresses(source)[Symbol.dispose]();
  expect(["SIGINT", "SIGTERM", "SIGHUP"].map((signal) => source.listenerCount(signal))).toEqual([0, 0, 0]);
});
