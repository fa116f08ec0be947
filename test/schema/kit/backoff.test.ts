import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { patience } from "../../../schema/kit/backoff.ts";

test("patience outlives an absence of this process: what arrived meanwhile is read before anybody is called silent", async () => {
  const over = new AbortController();
  const late = patience(100, over.signal).then(() => "late");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  // An answer that takes a few turns of the event loop to be read.
  const answer = (async () => {
    for (let turns = 0; turns < 4; turns += 1) await turn();
    return "answered";
  })();
  expect(await Promise.race([late, answer])).toBe("answered");
  over.abort();
  await late;
});

test("it is over after its time, and at once when nobody needs it any more", async () => {
  const asked: number[] = [];
  await patience(1_000, new AbortController().signal, {
    after: (ms, act) => {
      asked.push(ms);
      queueMicrotask(act);
      return () => undefined;
    },
    afterArrived: () => undefined,
  });
  expect(asked.reduce((sum, ms) => sum + ms, 0)).toBe(1_000);
  await patience(3_600_000, AbortSignal.abort());
});
