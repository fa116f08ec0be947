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
  const places = { run: new Map(), attempt: new Map(), worker: new Map(), journal: new Map() } satisfies Places;
  /** Where the change is a copy of ours, which later ones may be written into. */
  const ours = new Set<number>();
  for (const change of changes) {
    if (change.op === "insertEvent") {
      history.push(change);
      continue;
    }
    const ofTable = placesOf(places, change);
    if (!ofTable) {
      folded.push(change);
      continue;
    }
    const key = keyOf(change as RowChange);
    const place = ofTable.get(key);
    if (place === undefined) {
      ofTable.set(key, folded.length);
      folded.push(change);
      continue;
    }
    if (!ours.has(place)) {
      folded[place] = copyOf(folded[place] as RowChange);
      ours.add(place);
    }
    mergeInto(folded[place] as Writable, change as RowChange);
  }
  for (const event of byRun(history)) folded.push(event);
  return folded;
}

type Places = Readonly<Record<"run" | "attempt" | "worker" | "journal", Map<string, number>>>;

/** The places of the change's table; undefined for changes that stay as they are. */
function placesOf(places: Places, change: Exclude<Change, EventChange>): Map<string, number> | undefined {
  switch (change.op) {
    case "insertRun":
    case "updateRun":
      return places.run;
    case "insertAttempt":
    case "updateAttempt":
      return places.attempt;
    case "insertWorker":
    case "updateWorker":
      return places.worker;
    case "insertJournal":
    case "updateJournal":
      return places.journal;
    case "insertTask":
    case "updateTask":
    case "insertVersion":
    case "insertKey":
    case "deleteKeys":
    case "insertSetAside":
    case "insertHold":
    case "updateHold":
    case "deleteHold":
      return undefined;
  }
}

function keyOf(change: RowChange): string {
  if (change.op === "insertJournal") return `${change.row.workerId} ${change.row.journal}`;
  if (change.op === "updateJournal") return `${change.workerId} ${change.journal}`;
  return "row" in change ? change.row.id : change.id;
}

/** A change with a row or a set of its own. */
type Writable = { readonly op: RowChange["op"] } & { readonly row?: object; readonly set?: object; applied?: number };

function copyOf(change: RowChange): Change {
  if ("row" in change) return { ...change, row: { ...change.row } } as Change;
  return ("set" in change ? { ...change, set: { ...change.set } } : { ...change }) as Change;
}

function mergeInto(first: Writable, later: RowChange): void {
  switch (later.op) {
    case "updateJournal":
      if (first.row) Object.assign(first.row, { applied: later.applied });
      else first.applied = later.applied;
      return;
    case "updateRun":
    case "updateAttempt":
    case "updateWorker":
      Object.assign((first.row ?? first.set) as object, later.set);
      return;
    case "insertRun":
    case "insertAttempt":
    case "insertWorker":
    case "insertJournal":
      throw new Error(`${later.op} after ${first.op} of the same row in one batch`);
  }
}
