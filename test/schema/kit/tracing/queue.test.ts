import { expect, test } from "vitest";
import { silentLog, type Log } from "../../../../schema/kit/log.ts";
import { SpanQueue } from "../../../../schema/kit/tracing/queue.ts";
import { until } from "../../../kit/until.ts";

const quick = { waitingSpans: 10, spansPerExport: 4, gatherMs: 0, pauseFirstMs: 0, pauseMaxMs: 0, logMs: 1_000, closeMs: 50 };

function rig(flush: () => Promise<void>) {
  const rigged = { ended: 0, mono: 0, warnings: [] as object[], queue: undefined as unknown as SpanQueue };
  const log = Object.assign(silentLog(), { warn: (line: object) => rigged.warnings.push(line) }) as unknown as Log;
  rigged.queue = new SpanQueue({ flush, monoMs: () => rigged.mono, log, limits: quick });
  return rigged;
}

function push(rigged: ReturnType<typeof rig>, count: number): void {
  for (let i = 0; i < count; i += 1) rigged.queue.push(() => (rigged.ended += 1));
}

test("spans go out in parts, one at a time, each of them counted once it was taken", async () => {
  const sizes: number[] = [];
  const rigged = rig(async () => void sizes.push(rigged.ended));
  push(rigged, 9);
  await until("all", () => rigged.queue.figures.exported === 9);
  expect(sizes).toEqual([4, 8, 9]);
  expect(rigged.queue.figures).toEqual({ exported: 9, failed: 0, dropped: 0 });
  expect(rigged.warnings).toEqual([]);
});

test("while the endpoint hangs no more wait than may; the rest is dropped, counted, and said once in a while", async () => {
  const hung = Promise.withResolvers<void>();
  const rigged = rig(() => hung.promise);
  push(rigged, 4);
  await until("the first export", () => rigged.ended === 4);
  push(rigged, 30);
  expect(rigged.queue.figures.dropped).toBe(20);
  expect(rigged.warnings).toHaveLength(1);
  rigged.mono = 2_000;
  push(rigged, 5);
  expect(rigged.warnings).toHaveLength(2);
  expect(rigged.warnings[1]).toMatchObject({ dropped: 21 });
  hung.resolve();
  await until("what waited", () => rigged.queue.figures.exported === 14);
});

test("what the endpoint refuses is counted as failed, with its reason, and the next part is tried", async () => {
  let tries = 0;
  const rigged = rig(() => {
    tries += 1;
    // As the SDK rejects: with a list.
    return tries === 1 ? Promise.reject([new Error("connection refused")]) : Promise.resolve();
  });
  push(rigged, 8);
  await until("the second part", () => rigged.queue.figures.exported === 4);
  expect(rigged.queue.figures).toEqual({ exported: 4, failed: 4, dropped: 0 });
  expect(rigged.warnings).toEqual([{ exported: 0, failed: 4, dropped: 0, why: "connection refused" }]);
});

test("closing exports what waits, and takes no more", async () => {
  const rigged = rig(async () => undefined);
  push(rigged, 3);
  await rigged.queue.close();
  expect(rigged.queue.figures).toEqual({ exported: 3, failed: 0, dropped: 0 });
  push(rigged, 1);
  expect(rigged.queue.figures.dropped).toBe(1);
});

test("closing does not wait for an endpoint that hangs: what is left is given up, counted and said", async () => {
  const rigged = rig(() => new Promise(() => undefined));
  push(rigged, 4);
  await until("the first export", () => rigged.ended === 4);
  push(rigged, 5);
  await rigged.queue.close();
  expect(rigged.queue.figures).toEqual({ exported: 0, failed: 0, dropped: 5 });
  expect(rigged.warnings.at(-1)).toMatchObject({ dropped: 5, why: "the process ends" });
});
