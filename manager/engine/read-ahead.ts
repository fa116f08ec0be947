/** What the starts of one batch need of the store, read together before the first of them is stepped. */
import { managerLimits } from "../../schema/limits.ts";
import type { Input, Loaded, Need } from "../control/inputs.ts";
import { admit, needsOf } from "../control/needs.ts";
import type { ControlState } from "../control/state.ts";

/**
 * Each start with a key asks the store whether the key is known. Asked one after the other, a batch of a hundred would wait for a
 * hundred round trips, and a slow database would let nobody in at all. Nothing is committed within a batch, so what is read before
 * it says the same as what would be read in the middle of it; what the batch itself changes is newer in memory, and stays.
 */
export async function readAhead(
  state: ControlState,
  inputs: readonly Input[],
  load: (needs: readonly Need[]) => Promise<readonly Loaded[]>,
): Promise<void> {
  const starts = inputs.filter((input) => isStart(input));
  // A single one reads for itself.
  if (starts.length < 2) return;
  for (let needs = needsOfAll(state, starts); needs.length > 0; needs = needsOfAll(state, starts))
    admit(state, await load(needs));
}

function isStart(input: Input): boolean {
  if (input.kind !== "request") return false;
  const { kind } = input.request;
  return kind === "startRun" || kind === "startRuns" || kind === "rerun";
}

/** Each need once, and about as many as one read may have; the rest follows in the next. */
function needsOfAll(state: ControlState, inputs: readonly Input[]): readonly Need[] {
  const wanted = new Map<string, Need>();
  for (const input of inputs) {
    if (wanted.size >= managerLimits.readsPerBatch) break;
    for (const need of needsOf(state, input)) wanted.set(JSON.stringify(need), need);
  }
  return [...wanted.values()];
}
