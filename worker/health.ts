/** `worker --health`: how the running agent is, from its own state file, without disturbing it. */
import { isAlive, readBootId, readStat, sendSignal } from "./process/proc.ts";
import { readStateFile, type StateFile } from "./state-file.ts";
import type { Clock } from "../schema/kit/clock.ts";
import { timing } from "../schema/limits.ts";

export interface Health {
  readonly ok: boolean;
  readonly sentence: string;
}

/** Healthy is an agent that runs, can write its journal and has been taken by the manager. `clock`: the host's boot-time clock. */
export function healthOf(folder: string, clock: Clock, bootId: string = readBootId() ?? ""): Health {
  const state = readStateFile(folder);
  if (!state)
    return { ok: false, sentence: `no agent has left a state in ${folder}: it was never started with this data folder` };
  const why = whatIsWrong(state, clock, bootId);
  if (why !== undefined) return { ok: false, sentence: `worker ${state.workerId}: ${why}` };
  const { view, liveCount } = state;
  const draining = view.draining ? ", draining" : "";
  return {
    ok: true,
    sentence: `worker ${state.workerId} is in touch with its manager: live attempts ${liveCount}, free slots ${view.free.slots}${draining}`,
  };
}

function whatIsWrong(state: StateFile, clock: Clock, bootId: string): string | undefined {
  if (state.bootId !== bootId)
    return `the agent has not run since this host's last boot (its last word was at ${state.writtenAt})`;
  if (!isRunning(state)) return `the agent is not running (pid ${state.pid}, last word at ${state.writtenAt})`;
  const silentMs = clock.now().mono - state.writtenMono;
  if (silentMs > 3 * timing.stateFileMs)
    return `the agent (pid ${state.pid}) has written no state for ${Math.round(silentMs / 1_000)} s: it hangs, or its disk is full`;
  if (state.journalFull !== null) return `its journal cannot be written: ${state.journalFull}`;
  if (state.view.refused !== null) return `the manager refuses it: ${state.view.refused}`;
  if (state.trouble !== null) return `not connected to the broker: ${state.trouble}`;
  if (!state.view.synced) return "connected to the broker, but no manager has answered yet";
  return undefined;
}

/** Whether this very process still runs: its pid may meanwhile be another's. */
function isRunning({ pid, startTicks }: StateFile): boolean {
  if (startTicks === null) return sendSignal(pid, 0);
  const stat = readStat(pid);
  return isAlive(stat) && stat.startTicks === startTicks;
}
