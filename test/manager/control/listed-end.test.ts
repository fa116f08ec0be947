import { describe, expect, test } from "vitest";
import type { End } from "../../../schema/end.ts";
import { joined, running } from "./hand.ts";
import { asker, openBench, type makeTask } from "./kit.ts";

type More = NonNullable<Parameters<typeof makeTask>[1]>;

describe("an end that only an inventory told, of a worker that falls silent before its report comes", () => {
  async function listed(more: More, end: End) {
    const bench = await openBench();
    const a = await joined(bench, "a");
    const { run, attempt } = await running(bench, a, more);
    a.connection = 2;
    await a.join({ inventory: { part: 1, of: 1, items: [{ attempt, run, start: 1, state: "ended", end }] } });
    return { bench, run, attempt };
  }
  const silent = "Its result, if it wrote one, is lost: nobody heard of worker a any more.";

  test.each([
    { onLost: "retry", lostAfterSeconds: 100, retry: { attempts: 2, backoffSeconds: 0, on: ["failed"] } },
    { onLost: "fail" },
    { onLost: "wait", giveUpAfterSeconds: 200 },
  ] satisfies More[])("it is the run's, and what has succeeded is not run again: %o", async (more) => {
    const { bench, run, attempt } = await listed(more, { how: "exited", code: 0 });
    const b = await joined(bench, "b");
    await bench.pass(300_000, () => b.beat());
    expect(await bench.run(run)).toMatchObject({
      state: "succeeded",
      end: { how: "exited", code: 0 },
      result: null,
      progress: { message: silent },
    });
    expect(await bench.attempts(run)).toMatchObject([{ id: attempt, state: "ended", end: { how: "exited", code: 0 } }]);
  });

  test("a failure is tried again as its task says", async () => {
    const more: More = { onLost: "fail", retry: { attempts: 2, backoffSeconds: 0, on: ["failed"] } };
    const { bench, run } = await listed(more, { how: "exited", code: 3 });
    await bench.pass(102_000);
    expect(await bench.attempts(run)).toMatchObject([{ end: { how: "exited", code: 3 } }]);
    expect(await bench.run(run)).toMatchObject({ state: "retrying", tries: 1 });
  });

  test("it is so when the worker is removed, which loses nothing then", async () => {
    const { bench, run } = await listed({ onLost: "retry", lostAfterSeconds: 100 }, { how: "exited", code: 0 });
    const said = await bench.ask({ kind: "deleteWorker", workerId: "a", stop: true, ...asker });
    expect(said.events.find((event) => event.kind === "workerRemoved")?.data).toEqual({ lostAttempts: 0 });
    expect(await bench.run(run)).toMatchObject({
      state: "succeeded",
      progress: { message: "Its result, if it wrote one, is lost: worker a was removed before it was sent." },
    });
  });
});
