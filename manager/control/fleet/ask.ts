import type { AsOf } from "../../../schema/messages.ts";
import type { WorkerCell } from "../state.ts";
import { send, type Turn } from "../turn.ts";

/** Asks a worker for its hello: at once, then 2 s doubling to 30 s while it does not come (rule 13). */
export function askHello(turn: Turn, worker: WorkerCell): void {
  const { timing } = turn.state.options;
  if (turn.now.mono < worker.askedMono + worker.askDelayMs) return;
  worker.askedMono = turn.now.mono;
  worker.askDelayMs = Math.min(timing.resendMaxMs, Math.max(timing.resendFirstMs, worker.askDelayMs * 2));
  send(turn, worker, { kind: "ask", hello: true });
}

/**
 * The same to an epoch that is not the worker's known one, or to a worker that nobody knows. It echoes nothing: that epoch counts
 * as silent here, so its host must not take it for a sign that its fences may move (rule 8); and a start that leaves in the same
 * envelope must not be fresher than its proof was reckoned with (rule 7).
 */
export function askStranger(turn: Turn, workerId: string, epoch: string): void {
  turn.strange.push({ workerId, asOf: echoOfNothing(epoch), items: [{ kind: "ask", hello: true }] });
}

/** What a leader says to an epoch that it does not take for the worker's. */
export function echoOfNothing(epoch: string): AsOf {
  return { epoch, mono: 0 };
}
