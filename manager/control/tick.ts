/** Time has passed: what is due is done, each thing by its own file. */
import { managerLimits, requestLimits } from "../../schema/limits.ts";
import { remind } from "./runs/attempts.ts";
import { checkBrake } from "./fleet/brake.ts";
import { placeInSets } from "./queue/capacity.ts";
import { checkHold } from "./recovery/hold.ts";
import { takeDue } from "./due.ts";
import { lookAtWorker } from "./fleet/liveness.ts";
import { decideLoss } from "./runs/loss.ts";
import { enqueue, unblockRun } from "./queue/queue.ts";
import type { RunCell } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Intervals between two steps from which on the gap is our own absence, not the workers' (rule 10). */
const absentIntervals = 2;
const forgetKeysEveryMs = 60_000;

/** Called with every step: a pause of our own starts all clocks of silence anew. */
export function noteTime(turn: Turn): void {
  const { state, now } = turn;
  if (now.mono - state.lastStepMono > absentIntervals * state.options.timing.heartbeatMs) state.presentSinceMono = now.mono;
  state.lastStepMono = now.mono;
}

export function takeTick(turn: Turn): void {
  const { state, now } = turn;
  // Bounded, so that one tick is one commit; what is left is due still, and the next tick comes at once.
  for (let left: number = managerLimits.duePerTick; left > 0; left -= 1) {
    const entry = takeDue(state, now.mono);
    if (!entry) break;
    switch (entry.kind) {
      case "attempt":
        remind(turn, entry.of);
        break;
      case "loss":
        decideLoss(turn, entry.of);
        break;
      case "run":
        comeBack(turn, entry.of);
        break;
      case "avoid":
        unblockRun(state.queue, entry.of);
        break;
      case "worker":
        lookAtWorker(turn, entry.of);
        break;
      case "rest":
        placeInSets(state, entry.of);
        state.changed.add(entry.of);
        break;
      case "wake":
        break;
    }
  }
  checkBrake(turn);
  checkHold(turn);
  forgetKeys(turn);
}

/** Its pause is over: it waits in the queue again, in its old place. */
function comeBack(turn: Turn, run: RunCell): void {
  const waits = run.row.state === "queued" || run.row.state === "retrying";
  if (waits && run.line === null && turn.state.runs.get(run.row.id) === run) enqueue(turn.state, run);
}

function forgetKeys(turn: Turn): void {
  const { state, now } = turn;
  if (now.mono - state.keysForgottenMono < forgetKeysEveryMs) return;
  state.keysForgottenMono = now.mono;
  turn.changes.push({ op: "deleteKeys", before: now.wall - requestLimits.idempotencyKeptMs });
}
