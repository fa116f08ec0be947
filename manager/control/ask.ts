import type { WorkerCell } from "./state.ts";
import { send, type Turn } from "./turn.ts";

/** Asks a worker for its hello: at once, then 2 s doubling to 30 s while it does not come (rule 13). */
export function askHello(turn: Turn, worker: WorkerCell): void {
  const { timing } = turn.state.options;
  if (turn.now.mono < worker.askedMono + worker.askDelayMs) return;
  worker.askedMono = turn.now.mono;
  worker.askDelayMs = Math.min(timing.resendMaxMs, Math.max(timing.resendFirstMs, worker.askDelayMs * 2));
  send(turn, worker, { kind: "ask", hello: true });
}

/** The same to an epoch that is not the worker's known one, or to a worker that nobody knows. */
export function askStranger(turn: Turn, workerId: string, epoch: string, mono: number): void {
  turn.strange.push({ workerId, asOf: { epoch, mono }, items: [{ kind: "ask", hello: true }] });
}
