/** The events of one batch in the order in which they are written. */
import type { EventKind } from "../../schema/event.ts";
import type { Change } from "./changes.ts";

export type EventChange = Extract<Change, { readonly op: "insertEvent" }>;

/** What happens to every run, and to so many of them in one batch that it is worth putting together. */
const common: ReadonlySet<EventKind> = new Set([
  "runQueued",
  "attemptSent",
  "attemptAccepted",
  "attemptRunning",
  "attemptEnded",
  "runEnded",
]);

/**
 * The same events, those of one run together where nothing but other runs' everyday events stands between them, and numbered
 * in this order: then a store can write what a batch says of one run as one row. Within a run, and around every event of
 * another kind, the order stays. The numbers are those that the events had, given out anew.
 */
export function byRun(events: readonly EventChange[]): EventChange[] {
  const ordered: EventChange[] = [];
  let ofRuns = new Map<string, EventChange[]>();
  const flush = (): void => {
    for (const group of ofRuns.values()) for (const event of group) ordered.push(event);
    if (ofRuns.size > 0) ofRuns = new Map();
  };
  for (const event of events) {
    const { runId, kind } = event.row;
    if (runId === null || !common.has(kind)) {
      flush();
      ordered.push(event);
      continue;
    }
    const group = ofRuns.get(runId);
    if (group) group.push(event);
    else ofRuns.set(runId, [event]);
  }
  flush();
  return ordered.map((event, at) => {
    const { number } = (events[at] as EventChange).row;
    return event.row.number === number ? event : { op: "insertEvent", row: { ...event.row, number } };
  });
}
