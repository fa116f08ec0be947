import { expect, test } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import type { DownItem } from "../../../schema/messages.ts";
import type { Command, Step } from "../../../manager/control/outputs.ts";
import { release } from "../../../manager/engine/release.ts";
import { openBench } from "../control/kit.ts";

const ask = (attempt: string): DownItem => ({ kind: "ask", attempts: [attempt] });
const stepWith = (...commands: Command[]): Step => ({ changes: [], commands, answers: [], notes: [] });

test("rule 2: a batch's items for one worker share a message, in order and under the newest echo, but never two epochs", async () => {
  const bench = await openBench();
  const lead = { state: bench.state, term: 1, batch: 1 };
  const steps = [
    stepWith({ workerId: "a", asOf: { epoch: "one", mono: 5 }, items: [ask("1")] }),
    stepWith(
      { workerId: "b", asOf: { epoch: "one", mono: 9 }, items: [ask("2")] },
      { workerId: "a", asOf: { epoch: "one", mono: 7 }, items: [ask("3")] },
    ),
    stepWith({ workerId: "a", asOf: { epoch: "two", mono: 1 }, items: [ask("4")] }),
  ];
  const { commands } = release(lead, [], steps, new Map(), bench.now, silentLog());
  expect(commands).toEqual([
    { workerId: "a", asOf: { epoch: "one", mono: 7 }, items: [ask("1"), ask("3")] },
    { workerId: "b", asOf: { epoch: "one", mono: 9 }, items: [ask("2")] },
    { workerId: "a", asOf: { epoch: "two", mono: 1 }, items: [ask("4")] },
  ]);
});
