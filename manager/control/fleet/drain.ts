import type { WorkerUpdate } from "../changes.ts";
import { refreshWorker } from "../queue/capacity.ts";
import type { WorkerCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";

/** Sets fields of a worker's row, and with it where it may be placed. */
export function updateWorker(turn: Turn, worker: WorkerCell, set: WorkerUpdate): void {
  worker.row = { ...worker.row, ...set };
  turn.changes.push({ op: "updateWorker", id: worker.row.id, set });
  refreshWorker(turn.state, worker);
}

/** A draining worker is drained once nothing lives on it. */
export function settleDrain(turn: Turn, worker: WorkerCell): void {
  if (worker.row.state !== "draining" || worker.attempts.size > 0) return;
  updateWorker(turn, worker, { state: "drained", stateSince: turn.now.wall });
  emit(turn, "workerChanged", { workerId: worker.row.id, data: { state: "drained" } });
}
