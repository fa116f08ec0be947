import { expect, test } from "vitest";
import { runMoves, type RunState } from "../../../schema/run.ts";
import type { RunRecord } from "../../../manager/control/records.ts";
import { makeRun, updateRun } from "../../../manager/control/runs/runs.ts";
import { makeTurn } from "../../../manager/control/turn.ts";
import { openBench, seededDice } from "./kit.ts";

test("a run moves as the table says, and every other move throws", async () => {
  const bench = await openBench();
  const states = Object.keys(runMoves) as RunState[];
  for (const from of states) {
    for (const to of states) {
      const run = makeRun({ id: "r", state: from } as RunRecord, undefined);
      const move = (): void => updateRun(makeTurn(bench.state, bench.now, seededDice()), run, { state: to });
      if (from === to || (runMoves[from] as readonly RunState[]).includes(to)) expect(move).not.toThrow();
      else expect(move, `${from} to ${to}`).toThrow(`run r cannot move from ${from} to ${to}`);
    }
  }
});
