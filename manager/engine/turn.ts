/** One turn of the engine's loop: step a batch of inputs on the core, commit what they change, and only then let the rest out. */
import type { Dice, Now } from "../../schema/given.ts";
import { reached } from "../../schema/kit/failpoint.ts";
import { foldChanges } from "../control/changes-fold.ts";
import type { Change } from "../control/changes.ts";
import type { Input, Loaded, Need } from "../control/inputs.ts";
import type { Step } from "../control/outputs.ts";
import { admit, needsOf } from "../control/needs.ts";
import type { ControlState } from "../control/state.ts";
import { step } from "../control/step.ts";
import { readAhead } from "./read-ahead.ts";
import type { BatchTimes } from "./watch.ts";

/** What was decided, to be made durable. */
export interface Decided {
  /** One per input, in order; the last is that of `place`. */
  readonly steps: readonly Step[];
  readonly changes: readonly Change[];
}

export interface Turn extends Decided {
  readonly times: Omit<BatchTimes, "heldMs">;
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
  const begunMs = deps.now().mono;
  let inputsMs = begunMs;
  await readAhead(state, inputs, deps.load);
  for (const input of [...inputs, place]) {
    if (input === place) inputsMs = deps.now().mono;
    // One need may only be known once another was met: a start names its task, the task its newest version.
    for (let needs = needsOf(state, input); needs.length > 0; needs = needsOf(state, input)) admit(state, await deps.load(needs));
    steps.push(step(state, input, deps.now(), deps.dice));
  }
  const times = { begunMs, inputsMs, placedMs: deps.now().mono };
  return { steps, changes: foldChanges(steps.flatMap((each) => each.changes)), times };
}

/** What became of a batch. `broken`: it could not be stepped. */
export type TurnEnd = "applied" | "failed" | "broken" | "deposed" | "stopped";

export interface WholeTurnDeps extends TurnDeps {
  /** Commits in one transaction; resolves when the outcome is known. */
  readonly commit: (turn: Turn) => Promise<Exclude<TurnEnd, "broken">>;
  /** Publishes commands, answers requests: called only once the changes are durable (promise 1). */
  readonly letOut: (turn: Turn) => void;
  /** The batch could not be stepped, and why. */
  readonly onBroken: (error: unknown) => void;
}

/** The whole of one turn, in the order that makes a 2xx and an ack mean something. */
export async function runTurn(state: ControlState, inputs: readonly Input[], deps: WholeTurnDeps): Promise<TurnEnd> {
  let turn: Turn;
  try {
    turn = await stepBatch(state, inputs, deps);
  } catch (error) {
    deps.onBroken(error);
    return "broken";
  }
  reached("s03", turn.changes);
  const end = await deps.commit(turn);
  if (end !== "applied") return end;
  reached("s02", turn.steps);
  reached("s13", turn.steps);
  deps.letOut(turn);
  return end;
}
