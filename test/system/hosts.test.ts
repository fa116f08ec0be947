/** What goes wrong on a worker's host, as in `npm run chaos`, within seconds each; `away`, `disk`, `identity` and `output` take longer. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { adopt } from "../chaos/scenarios/adopt.ts";
import { clocks } from "../chaos/scenarios/clocks.ts";
import { poisoned } from "../chaos/scenarios/poison.ts";
import { reboot } from "../chaos/scenarios/reboot.ts";
import { trees } from "../chaos/scenarios/trees.ts";
import { makeGate } from "../kit/gate.ts";
import { workerPair } from "../kit/pair.ts";
import { makePidsLimit, pidsLimitMissing } from "../kit/pids-limit.ts";
import { pidsThatMention } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";

// Side by side: they wait more than they work.
test.concurrent.for([adopt, reboot, trees, poisoned, clocks])("the small form of $name", async (scenario, context) => {
  const missing = scenario.missing?.();
  if (missing !== undefined) context.skip(missing);
  const { violations } = await scenario.play({ kind: "small", rounds: 1 }, () => undefined);
  expect(violations).toEqual([]);
});

test("an agent whose host has no process left when its first attempt says something goes on", async (context) => {
  const missing = pidsLimitMissing();
  if (missing !== undefined) context.skip(missing);
  await using limit = makePidsLimit(1_000);
  await using it = await workerPair();
  const { manager, worker, agent } = it;
  using gate = makeGate(join(worker.folder, "gate"));
  await manager.send(manager.script("a", `${gate.wait}; echo out; exit 3`));
  await manager.running("a");
  limit.take([agent.process.pid ?? 0, ...pidsThatMention(worker.folder)]);
  limit.allow();
  gate.letPass(1);
  expect((await manager.endOf("a")).end).toEqual({ how: "exited", code: 3 });
  await until("its output", () => manager.logs.bytes("a", "stdout").toString() === "out\n");
  limit.allow(1_000);
  await manager.send(manager.script("b", "exit 4"));
  expect((await manager.endOf("b")).end).toEqual({ how: "exited", code: 4 });
  expect(agent.process.exitCode ?? agent.process.signalCode).toBe(null);
});
