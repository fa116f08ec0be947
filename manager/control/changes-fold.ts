import type { Change } from "./changes.ts";
import { byRun, type EventChange } from "./history.ts";

type RowChange = Extract<
  Change,
  {
    op:
      | "updateRun"
      | "updateAttempt"
      | "updateWorker"
      | "updateJournal"
      | "insertRun"
      | "insertAttempt"
      | "insertWorker"
      | "insertJournal";
  }
>;

/**
 * One change per run, attempt, worker and journal of a batch: updates go into the insert or the first update before them.
 * Nothing else refers to their order. Changes of tasks stay as they are: a name that one task leaves and another takes must
 * be written in that order. Events come last, numbered as `byRun` has them.
 */
export function foldChanges(changes: readonly Change[]): Change[] {
  const folded: Change[] = [];
  const history: EventChange[] = [];
  const places = new Map<string, number>();
  for (const change of changes) {
    if (change.op === "insertEvent") {
      history.push(change);
      continue;
    }
    const key = keyOf(change);
    const place = key === undefined ? undefined : places.get(key);
    if (place === undefined) {
      if (key !== undefined) places.set(key, folded.length);
      folded.push(change);
    } else {
      folded[place] = merge(folded[place] as RowChange, change as RowChange);
    }
  }
  for (const event of byRun(history)) folded.push(event);
  return folded;
}

function keyOf(change: Exclude<Change, EventChange>): string | undefined {
  switch (change.op) {
    case "insertRun":
      return `run ${change.row.id}`;
    case "updateRun":
      return `run ${change.id}`;
    case "insertAttempt":
      return `attempt ${change.row.id}`;
    case "updateAttempt":
      return `attempt ${change.id}`;
    case "insertWorker":
      return `worker ${change.row.id}`;
    case "updateWorker":
      return `worker ${change.id}`;
    case "insertJournal":
      return `journal ${change.row.workerId} ${change.row.journal}`;
    case "updateJournal":
      return `journal ${change.workerId} ${change.journal}`;
    case "insertTask":
    case "updateTask":
    case "insertVersion":
    case "insertKey":
    case "deleteKeys":
    case "insertSetAside":
      return undefined;
  }
}

function merge(first: RowChange, later: RowChange): Change {
  switch (later.op) {
    case "updateJournal":
      if (first.op === "insertJournal") return { ...first, row: { ...first.row, applied: later.applied } };
      return later;
    case "updateRun":
    case "updateAttempt":
    case "updateWorker":
      if ("row" in first) return { ...first, row: { ...first.row, ...later.set } } as Change;
      if ("set" in first) return { ...first, set: { ...first.set, ...later.set } } as Change;
      break;
    case "insertRun":
    case "insertAttempt":
    case "insertWorker":
    case "insertJournal":
      break;
  }
  throw new Error(`${later.op} after ${first.op} of the same row in one batch`);
}
