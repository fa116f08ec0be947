import { expect, test } from "vitest";
import { workerLive } from "../../../manager/control/view.ts";
import { narrowed } from "../../../manager/control/fleet/worker-clock.ts";
import { joined } from "./hand.ts";
import { attemptOf, makeTask, openBench, start } from "./kit.ts";

test("a worker's clock is known by what its agent reports: after the send, before the news of it", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const task = await makeTask(bench);
  const reported = async (after: number, ahead: number) => {
    const attempt = (await attemptOf(bench, await start(bench, task))).id;
    const sentWall = bench.now.wall;
    await bench.pass(after, () => a.beat());
    await a.report(
      a.next(attempt, "accepted", { at: sentWall + ahead }),
      a.next(attempt, "end", { at: 5, end: { how: "exited", code: 0 } }),
    );
    return workerLive(bench.state, "a", bench.now)?.clockAhead;
  };
  expect(await reported(2_000, 86_401_000)).toEqual({ least: 86_399_000, most: 86_401_000 });
  expect(await reported(1_000, 86_400_500)).toEqual({ least: 86_399_500, most: 86_400_500 });
  // It was set meanwhile.
  expect(await reported(1_000, 300)).toEqual({ least: -700, most: 300 });
  const attempt = (await attemptOf(bench, await start(bench, task))).id;
  await bench.takeOver();
  a.connection += 1;
  await a.join();
  await a.report(a.next(attempt, "running", { at: 5 }));
  expect(workerLive(bench.state, "a", bench.now)?.clockAhead).toBeNull();
});

test("each report narrows it", () => {
  expect(narrowed(null, { least: -500, most: 500 })).toEqual({ least: -500, most: 500 });
  expect(narrowed({ least: -500, most: 500 }, { least: -900, most: 100 })).toEqual({ least: -500, most: 100 });
  expect(narrowed({ least: -500, most: 100 }, { least: 79_800, most: 80_000 })).toEqual({ least: 79_800, most: 80_000 });
});
