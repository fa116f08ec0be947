/** What each worker is told of time. The heartbeat interval grows with the fleet, so that its beats stay bounded. */
import type { WorkerSettings } from "../../../schema/messages.ts";
import type { ControlTiming } from "../core.ts";
import type { ControlState } from "../state.ts";

/** Settings for a fleet of this many reachable workers: the interval doubles whenever the beats would pass their bound. */
export function settingsFor(timing: ControlTiming, reachable: number): WorkerSettings {
  let heartbeatMs = timing.heartbeatMs;
  while ((reachable * 1_000) / heartbeatMs > timing.fleetBeatsPerSecond) heartbeatMs *= 2;
  const times = {
    heartbeatMs,
    startTtlMs: heartbeatMs * timing.startTtlIntervals,
    workerLostMs: heartbeatMs * timing.workerLostIntervals,
  };
  return { version: versionOf(times), ...times };
}

/** The same settings always have the same version, also under another leader, and others hardly ever do. */
function versionOf(times: Readonly<Record<string, number>>): number {
  let hash = 2_166_136_261;
  for (const char of JSON.stringify(times)) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619);
  return hash >>> 1;
}

/** The number of reachable workers has changed. */
export function countReachable(state: ControlState, by: 1 | -1): void {
  state.reachable += by;
  state.settings = settingsFor(state.options.timing, state.reachable);
}
