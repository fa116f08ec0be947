import { expect, test } from "vitest";
import { workerLimits } from "../../../schema/limits.ts";
import { freeable, newStream, noteAcked, noteSent } from "../../../worker/logs/stream.ts";

test("the disk has back only what the manager has, never what is merely on its way", () => {
  const some = workerLimits.logFreeBytes;
  const stream = newStream({ attempt: "a", name: "stdout", file: "f", cap: 100 * some, acked: 0, floor: 0 });
  stream.size = 10 * some;
  noteSent(stream, { kind: "bytes", offset: 0, length: 5 * some }, 0);
  expect(freeable(stream)).toEqual([]);
  noteAcked(stream, 2 * some, 1);
  expect(freeable(stream)).toEqual([{ offset: 0, length: 2 * some }]);
});
