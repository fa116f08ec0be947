/** One turn of the engine's loop: step a batch of inputs on the core, with what each needs read from the store first. */
import type { Dice, Now } from "../../schema/given.ts";
import { foldChanges } from "../control/changes-fold.ts";
import type { Change } from "../control/changes.ts";
import type { Input, Loaded, Need } from "../control/inputs.ts";
import type { Step } from "../control/outputs.ts";
import { admit, needsOf } from "../control/needs.ts";
import type { ControlState } from "../control/state.ts";
import { step } from "../control/step.ts";

export interface Turn {
  /** One per input, in order; the last is that of `place`. */
  readonly steps: readonly Step[];
  readonly changes: readonly Change[];
}

export interface TurnDeps {
  readonly load: (needs: readonly Need[]) => Promise<readonly Loaded[]>;
  readonly now: () => Now;
  readonly dice: Dice;
}

const place: Input = { kind: "place" };

/**
 * Steps the inputs in order and places what waits. Rejects when the store cannot be read (nothing may be said of the state
 * then: it holds effects of a batch that was never committed) or when the core throws.
 */
export async function stepBatch(state: ControlState, inputs: readonly Input[], deps: TurnDeps): Promise<Turn> {
  const steps: Step[] = [];
  for (const input of [...inputs, place]) {
    const needs = needsOf(state, input);
    if (needs.length > 0) admit(state, await deps.load(needs));
    steps.push(step(state, input, deps.now(), deps.dice));
  }
  return { steps, changes: foldChanges(steps.flatMap((each) => each.changes)) };
}
