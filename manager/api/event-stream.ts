/** The live stream of events: history from the store first, then what the plane tells, with nothing missed or doubled between. */
import { apiLimits } from "../../schema/limits.ts";
import type { EventRecord } from "../control/records.ts";
import type { EventFilter } from "../store/store.ts";
import { makeBell } from "./bell.ts";
import type { ApiParts } from "./deps.ts";
import { formatVector, hasSeen, withEvent, type Vector } from "./vector.ts";
import { eventViewOf } from "./views.ts";

export type EventWish = Omit<EventFilter, "limit" | "after">;

/**
 * Text of an event stream after `from` (null: from now on). Each event's id is the vector up to it; quiet times carry a
 * comment and the newest vector, so that a reader who comes back has not far to go. A reader who is more than
 * `sseBufferBytes` behind gets `reset` and is let go: it comes back with its Last-Event-ID and is served from the store.
 */
export async function* eventStream(
  parts: ApiParts,
  wish: EventWish,
  from: Vector | null,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const bell = makeBell();
  const live: EventRecord[] = [];
  let liveBytes = 0;
  let behind = false;
  let catchingUp = true;
  const unhook = parts.hub.onAll((events) => {
    bell.ring();
    // While history is read the store has these too: holding them would cost memory for nothing.
    if (catchingUp || behind) return;
    live.push(...events);
    liveBytes += events.reduce((sum, event) => sum + sizeOf(event), 0);
    if (liveBytes <= parts.limits.sseBufferBytes) return;
    behind = true;
    live.length = 0;
  });
  try {
    await parts.hub.hearing();
    let vector: Vector = from ?? (await parts.store.lastEvents());
    yield `retry: 3000\nid: ${formatVector(vector)}\n\n`;
    while (!signal.aborted) {
      // From here on new events are held: the page read after this line joins what came before to them.
      if (catchingUp) catchingUp = false;
      const page = await parts.store.events({ ...wish, after: vector, limit: apiLimits.catchUpPage });
      const more = page.length === apiLimits.catchUpPage;
      if (more) {
        catchingUp = true;
        live.length = 0;
        liveBytes = 0;
        behind = false;
      }
      for (const event of page) {
        vector = withEvent(vector, event);
        yield textOf(event, vector);
      }
      if (!more) break;
    }
    while (!signal.aborted) {
      if (behind) {
        yield "event: reset\ndata: {}\n\n";
        return;
      }
      const events = live.splice(0);
      liveBytes = 0;
      for (const event of events) {
        if (hasSeen(vector, event)) continue;
        vector = withEvent(vector, event);
        if (fits(event, wish)) yield textOf(event, vector);
      }
      if (events.length === 0 && !(await bell.heard(parts.limits.streamBeatMs, signal)) && !signal.aborted)
        yield `: beat\nid: ${formatVector(vector)}\n\n`;
    }
  } finally {
    unhook();
  }
}

/** Whether the event is one of those asked for: the same conditions as the store's. */
export function fits(event: EventRecord, wish: EventWish): boolean {
  if (wish.runId !== undefined && event.runId !== wish.runId) return false;
  if (wish.taskId !== undefined && event.taskId !== wish.taskId) return false;
  if (wish.workerId !== undefined && event.workerId !== wish.workerId) return false;
  return wish.kinds === undefined || wish.kinds.includes(event.kind);
}

function textOf(event: EventRecord, vector: Vector): string {
  const id = formatVector(vector);
  return `id: ${id}\nevent: ${event.kind}\ndata: ${JSON.stringify(eventViewOf(event, id))}\n\n`;
}

/** About what an event takes in memory: its data is the only part that can be large. */
function sizeOf(event: EventRecord): number {
  return 300 + JSON.stringify(event.data).length;
}
