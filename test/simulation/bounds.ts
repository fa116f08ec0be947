import type { ControlState } from "../../manager/control/state.ts";
import { wireLimits, workerLimits } from "../../schema/limits.ts";
import type { AgentState } from "./agent.ts";
import { queueWindow, taskCache } from "./manager.ts";

/** What a leader and the agents hold more of than they may (I13), now. */
export function passedBounds(state: ControlState | undefined, agents: Iterable<AgentState>): string[] {
  const lines: string[] = [];
  const bound = (what: string, held: number, most: number): void => {
    if (held > most) lines.push(`${what}: ${held}, and at most ${most} may be (I13)`);
  };
  if (state) {
    const { tasks, versions, names, keys } = state;
    let fresh = 0;
    for (const { row } of state.runs.values()) if (row.state === "queued" && row.placements === 0) fresh += 1;
    // One whose attempt was refused, or failed, waits in memory again whatever the window holds: they are as many as had a place.
    bound("queued runs that were never placed in a leader's memory", fresh, queueWindow);
    // Trimmed between batches: what the last one touched may be there beside.
    for (const cache of [tasks, versions, names, keys]) bound("rows in a cache", cache.rows.size, taskCache + 60);
    for (const worker of state.workers.values()) {
      const { slots } = worker.used;
      const most = worker.row.capacity?.slots ?? 0;
      // A start more than fits is a prefetched one, which takes its slot when it is sent.
      if (slots < 0 || slots > most + 2)
        lines.push(`${slots} of the ${most} slots of ${worker.row.id} are taken for the leader (I14)`);
    }
  }
  for (const { options, queue, held } of agents) {
    const { hostname } = options.facts;
    if (queue.onWire > 1) bound(`bytes of reports of ${hostname} on the wire`, queue.onWireBytes, wireLimits.unackedReportBytes);
    bound(`starts that ${hostname} holds`, held.size, workerLimits.heldStarts + options.capacity.slots);
  }
  return lines;
}

/** What an agent that a leader knows still holds when every run has ended. */
export function leftOnWorker({ options, link, live, held, used, queue }: AgentState): string[] {
  if (!link.synced) return [];
  const counts = { attempts: live.size, "starts that wait": held.size, "slots taken": used.slots };
  const unacked = queue.items.length - queue.first;
  return Object.entries({ ...counts, "reports that no ack covers": unacked }).flatMap(([what, count]) =>
    count === 0 ? [] : [`${count} ${what} are in the memory of the agent of ${options.facts.hostname} at the end (I14, I18)`],
  );
}

/** What a leader still holds when every run has ended. */
export function leftOver(state: ControlState): string[] {
  const { runs, attempts, queue, sweeps, workers } = state;
  const counts = {
    runs: runs.size,
    attempts: attempts.size,
    queued: queue.queued,
    retrying: queue.retrying,
    sweeps: sweeps.length,
  };
  const lines = Object.entries(counts).flatMap(([what, count]) =>
    count === 0 ? [] : [`${count} ${what} are in the leader's memory at the end (I13)`],
  );
  for (const worker of workers.values()) {
    const { slots, memoryMb, cpus } = worker.used;
    if (slots !== 0 || memoryMb !== 0 || cpus !== 0 || worker.attempts.size !== 0)
      lines.push(`${worker.row.id} is idle, and ${slots} of its slots are taken for the leader (I14)`);
  }
  return lines;
}
