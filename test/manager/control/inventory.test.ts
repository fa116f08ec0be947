import { expect, test } from "vitest";
import { epochOf, Hand, joined } from "./hand.ts";
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

test("rule 7: another journal proves nothing of a start that the one before was sent: its host may obey it still", async () => {
  const bench = await openBench();
  await joined(bench, "a");
  const run = await start(bench, await makeTask(bench));
  await bench.pass(76_000);
  const other = new Hand(bench, "a");
  other.epoch = epochOf("other", 1);
  await other.join();
  expect(await bench.run(run)).toMatchObject({ state: "lost", end: { why: "its worker came back with another journal" } });
});
