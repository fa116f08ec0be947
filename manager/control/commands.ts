import type { AsOf } from "../../schema/messages.ts";
import type { ControlState } from "./state.ts";

/**
 * What a message to this worker echoes now: its epoch and the newest mono heard of it. Zero before the first one of this
 * leader's life, under which no start is obeyed. Undefined for a worker that never said hello.
 */
export function asOfOf(state: ControlState, workerId: string): AsOf | undefined {
  const worker = state.workers.get(workerId);
  if (!worker || worker.row.epoch === null) return undefined;
  return { epoch: worker.row.epoch, mono: worker.mono ?? 0 };
}
