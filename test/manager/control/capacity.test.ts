import { expect, test } from "vitest";
import { workerLive } from "../../../manager/control/view.ts";
import { joined } from "./hand.ts";
import { attemptOf, makeTask, openBench, start } from "./kit.ts";

test("what an attempt took of each kind of room is given back whole, also while another one stays (I14)", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a", { capacity: { slots: 4, memoryMb: 1_000, cpus: 4 } });
  const stays = await start(bench, await makeTask(bench, { requires: { slots: 1, memoryMb: 100, cpus: 0.5 } }));
  const staying = (await attemptOf(bench, stays)).id;
  await a.report(a.next(staying, "accepted"), a.next(staying, "running"));
  const large = await makeTask(bench, { requires: { slots: 3, memoryMb: 900, cpus: 3.5 } });
  for (let round = 0; round < 3; round += 1) {
    const run = await start(bench, large);
    expect((await bench.run(run)).state).toBe("starting");
    expect(workerLive(bench.state, "a", bench.now)?.used).toEqual({ slots: 4, memoryMb: 1_000, cpus: 4 });
    await a.finish((await attemptOf(bench, run)).id);
    expect(workerLive(bench.state, "a", bench.now)?.used).toEqual({ slots: 1, memoryMb: 100, cpus: 0.5 });
  }
});
