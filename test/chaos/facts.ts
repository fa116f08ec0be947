/** What a recorded history says of each start, run, attempt and process. */
import type { AnsweredStart, AskedStart, HistoryLine, Policy, ReadRun, WitnessLine } from "./history.ts";

export interface Facts {
  /** By tag. */
  readonly asked: ReadonlyMap<string, AskedStart>;
  /** By tag, in order: each answer, or that there was none. */
  readonly told: ReadonlyMap<string, readonly (AnsweredStart | "unanswered")[]>;
  /** Runs of 2xx answers → the tag that was asked for. */
  readonly acknowledged: ReadonlyMap<string, string>;
  /** Every read of a run, in order. */
  readonly reads: ReadonlyMap<string, readonly ReadRun[]>;
  /** The last word on each run that the final listing names. */
  readonly last: ReadonlyMap<string, ReadRun>;
  readonly witnessed: readonly WitnessLine[];
  readonly policies: ReadonlyMap<string, Policy>;
  /** Attempt → workers that were told to start it, or that reported that it ran or ended. */
  readonly places: ReadonlyMap<string, ReadonlySet<string>>;
  /** From the last healing to the final listing. */
  readonly waitedMs: number;
}

export function factsOf(lines: readonly HistoryLine[]): Facts {
  const calls = new Map<number, readonly AskedStart[]>();
  const asked = new Map<string, AskedStart>();
  const told = new Map<string, (AnsweredStart | "unanswered")[]>();
  const acknowledged = new Map<string, string>();
  const reads = new Map<string, ReadRun[]>();
  const witnessed: WitnessLine[] = [];
  const policies = new Map<string, Policy>();
  const places = new Map<string, Set<string>>();
  let listed: readonly string[] = [];
  let [healedAt, listedAt] = [0, 0];
  for (const line of lines) {
    switch (line.kind) {
      case "policy":
        policies.set(line.policy.taskId, line.policy);
        break;
      case "asked":
        calls.set(line.call, line.starts);
        for (const start of line.starts) asked.set(start.tag, start);
        break;
      case "answered":
      case "failed":
        for (const [index, { tag }] of (calls.get(line.call) ?? []).entries()) {
          const one = line.kind === "failed" ? "unanswered" : (line.starts[index] ?? "unanswered");
          told.set(tag, [...(told.get(tag) ?? []), one]);
          if (one !== "unanswered" && one.runId !== null) acknowledged.set(one.runId, tag);
        }
        break;
      case "read":
        reads.set(line.run.id, [...(reads.get(line.run.id) ?? []), line.run]);
        break;
      case "listing":
        listed = line.runIds;
        listedAt = line.at;
        break;
      case "witness":
        witnessed.push(line.line);
        break;
      case "commands":
      case "reports":
        for (const { kind, attempt } of line.items)
          if (attempt !== undefined && (kind === "start" || kind === "running"))
            places.set(attempt, (places.get(attempt) ?? new Set()).add(line.workerId));
        break;
      case "healed":
        healedAt = line.at;
        break;
      case "message":
      case "fault":
      case "leftover":
        break;
    }
  }
  const last = new Map<string, ReadRun>();
  for (const id of listed) {
    const newest = reads.get(id)?.at(-1);
    if (newest) last.set(id, newest);
  }
  return { asked, told, acknowledged, reads, last, witnessed, policies, places, waitedMs: listedAt - healedAt };
}

export function groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
