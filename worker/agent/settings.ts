import { timing } from "../../schema/limits.ts";
import type { WorkerSettings } from "../../schema/messages.ts";
import type { Turn } from "./turn.ts";

/**
 * Takes what the manager says, whatever its version: a leader whose own count began anew must be obeyed too, and one that
 * sees another version than its own in the heartbeat sends it again.
 */
export function takeSettings(turn: Turn, given: WorkerSettings): void {
  const { state } = turn;
  const { version, startTtlMs, workerLostMs } = given;
  state.settings = { version, startTtlMs, workerLostMs, heartbeatMs: Math.max(timing.heartbeatMinMs, given.heartbeatMs) };
  state.link.heartbeatMono = Math.min(state.link.heartbeatMono, turn.now.mono + state.settings.heartbeatMs);
}
