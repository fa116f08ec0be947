import { expect, test } from "vitest";
import { joined } from "./hand.ts";
import { attemptOf, makeTask, openBench, start } from "./kit.ts";

test("rule 7: a snapshot of the very instant in which it was accepted may be of an earlier step, and takes nothing back", async () => {
  const bench = await openBench();
  const a = await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  const attempt = (await attemptOf(bench, run)).id;
  await bench.pass(50);
  const ofTheSameInstant = a.helloInput();
  await a.report(a.next(attempt, "accepted"));
  await bench.batch(ofTheSameInstant);
  expect((await attemptOf(bench, run)).state).toBe("accepted");
});
