import { managerLimits } from "../../../schema/limits.ts";
import type { WorkerCell } from "../state.ts";
import { emit, note, type Turn } from "../turn.ts";

/** A worker has an attempt that nobody here knows: shown once, and left alone until somebody decides (rule 14). */
export function noteFound(turn: Turn, worker: WorkerCell, attemptId: string, runId: string | null, state: string): void {
  note(turn, "attemptFound", { workerId: worker.row.id, attemptId });
  if (worker.found.has(attemptId) || worker.found.size >= managerLimits.foundPerWorker) return;
  worker.found.add(attemptId);
  emit(turn, "attemptFound", { workerId: worker.row.id, attemptId, runId, data: { state } });
}
