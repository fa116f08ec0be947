import { unackedCount } from "./queue.ts";
import { freeCapacity } from "./slots.ts";
import type { AgentState } from "./state.ts";
import type { AgentView } from "./types.ts";

/** What a person may ask of a running agent. */
export function viewOf(state: AgentState): AgentView {
  return {
    connected: state.link.connected,
    synced: state.link.synced,
    draining: state.draining || state.leaving,
    free: freeCapacity(state),
    live: [...state.live.values()].map(({ entry }) => ({
      attempt: entry.attempt,
      run: entry.run,
      state: entry.state,
      pid: entry.process?.pid ?? null,
    })),
    unackedReports: unackedCount(state.queue),
    refused: state.link.refused,
    lastEnds: [...state.lastEnds],
  };
}
