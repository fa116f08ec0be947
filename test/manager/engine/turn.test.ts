import { describe, expect, test } from "vitest";
import type { Input } from "../../../manager/control/inputs.ts";
import { stepBatch } from "../../../manager/engine/turn.ts";
import { asker, makeTask, openBench, pool, seededDice, startOf, type Bench } from "../control/kit.ts";

/** Steps starts as one batch, without committing it; what each read of the store asked for, and what was answered. */
async function stepStarts(bench: Bench, starts: readonly ReturnType<typeof startOf>[]) {
  const reads: string[][] = [];
  const inputs = starts.map((item, ticket): Input => ({
    kind: "request",
    ticket,
    request: { kind: "startRun", item, ...asker },
  }));
  const { steps } = await stepBatch(bench.state, inputs, {
    load: async (needs) => {
      reads.push(needs.map(({ need }) => need));
      return await bench.store.load(pool, needs);
    },
    now: () => ({ ...bench.now }),
    dice: seededDice(),
  });
  const outcomes = steps.flatMap(({ answers }) => answers.map(({ outcome }) => outcome));
  return { reads, outcomes };
}

const keyed = (taskId: string, key: string) => startOf(taskId, { idempotencyKey: key, bodyHash: "hash" });

describe("what a batch of starts reads", () => {
  test("a hundred keys are one round trip to the store, not a hundred", async () => {
    const bench = await openBench();
    const taskId = await makeTask(bench);
    const { reads, outcomes } = await stepStarts(
      bench,
      Array.from({ length: 100 }, (_, n) => keyed(taskId, `key-${n}`)),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => "run"));
    expect(reads).toHaveLength(1);
    expect(reads[0]?.filter((need) => need === "key")).toHaveLength(100);
  });

  test("a new leader, who knows no task either, reads in as many round trips as one start would", async () => {
    const bench = await openBench();
    const taskIds = [await makeTask(bench), await makeTask(bench)];
    await bench.takeOver();
    const { reads, outcomes } = await stepStarts(
      bench,
      Array.from({ length: 100 }, (_, n) => keyed(taskIds[n % 2] as string, `key-${n}`)),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => "run"));
    expect(reads.map((needs) => [...new Set(needs)].toSorted())).toEqual([["key", "task"], ["version"]]);
  });

  test("a key that comes twice in one batch gives the run that its first start made; one that was used before, that run", async () => {
    const bench = await openBench();
    const taskId = await makeTask(bench);
    const used = await bench.ask({ kind: "startRun", item: keyed(taskId, "used"), ...asker });
    await bench.takeOver();
    const { outcomes } = await stepStarts(bench, [keyed(taskId, "twice"), keyed(taskId, "used"), keyed(taskId, "twice")]);
    const runs = outcomes.map((outcome) => (outcome.kind === "run" ? outcome.run.id : outcome.kind));
    expect(runs[2]).toBe(runs[0]);
    expect(runs[1]).toBe(used.outcome.kind === "run" ? used.outcome.run.id : "");
    expect(new Set(runs).size).toBe(2);
  });
});
