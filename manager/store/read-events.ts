/**
 * Events, oldest first. Each pool is a stream of its own in the order of its numbers; streams are merged by time. What
 * serves each filter: `runId` events_by_run; `workerId` events_by_worker; `taskId` events_by_task (both hold the kind, so a
 * filter by kind beside them reads the index alone); `kinds` alone events_by_kind, a stream for each kind; none the key.
 */
import { and, asc, eq, gt, inArray, type SQL } from "drizzle-orm";
import type { EventRecord } from "../control/records.ts";
import { eventsOf, eventsPerRow, kindTextsOf } from "./event-rows.ts";
import { mergedPage, type Stream } from "./merge.ts";
import type { Reader } from "./reader.ts";
import type { EventFilter } from "./store.ts";

/** At most `filter.limit` events above `filter.after`, from these pools. */
export async function readEvents(reader: Reader, pools: readonly string[], filter: EventFilter): Promise<readonly EventRecord[]> {
  const perPool = await Promise.all(pools.map((pool) => eventsOfPool(reader, pool, filter)));
  return mergeByTime(perPool, filter.limit);
}

/**
 * Merges the pools' events by `at`, never changing the order within a pool: a clock that was set back must not make a
 * reader's vector jump over what it has not seen.
 */
export function mergeByTime(perPool: readonly (readonly EventRecord[])[], limit: number): EventRecord[] {
  const at = perPool.map(() => 0);
  const merged: EventRecord[] = [];
  while (merged.length < limit) {
    let first: number | undefined;
    for (const [index, events] of perPool.entries()) {
      const head = events[at[index] ?? 0];
      const best = first === undefined ? undefined : perPool[first]?.[at[first] ?? 0];
      if (head && (!best || head.at < best.at)) first = index;
    }
    if (first === undefined) break;
    merged.push(perPool[first]?.[at[first] ?? 0] as EventRecord);
    at[first] = (at[first] ?? 0) + 1;
  }
  return merged;
}

/** Above which number the filter wants a pool's events. */
export function numberAfter(filter: EventFilter, pool: string): number {
  return Object.hasOwn(filter.after, pool) ? (filter.after[pool] ?? 0) : 0;
}

async function eventsOfPool(reader: Reader, pool: string, filter: EventFilter): Promise<readonly EventRecord[]> {
  const { events } = reader.tables;
  const subject = and(
    filter.runId === undefined ? undefined : eq(events.runId, filter.runId),
    filter.taskId === undefined ? undefined : eq(events.taskId, filter.taskId),
    filter.workerId === undefined ? undefined : eq(events.workerId, filter.workerId),
  );
  const index = indexOf(filter);
  const texts = filter.kinds && kindTextsOf(filter.kinds, filter.workerId === undefined ? "anything" : "worker");
  const wanted = (event: EventRecord): boolean =>
    (filter.workerId === undefined || event.workerId === filter.workerId) && (filter.kinds?.includes(event.kind) ?? true);
  const streams = !texts
    ? [stream(reader, index, pool, subject, wanted)]
    : subject
      ? [stream(reader, index, pool, and(subject, inArray(events.kind, texts)), wanted)]
      : texts.map((text) => stream(reader, index, pool, eq(events.kind, text), wanted));
  const page = await mergedPage<EventRecord>({
    streams,
    after: { number: numberAfter(filter, pool) } as EventRecord,
    compare: (a, b) => a.number - b.number,
    keep: () => true,
    limit: filter.limit,
    scanRows: Number.POSITIVE_INFINITY,
  });
  return page.items;
}

function indexOf(filter: EventFilter): string {
  if (filter.runId !== undefined) return "events_by_run";
  if (filter.workerId !== undefined) return "events_by_worker";
  if (filter.taskId !== undefined) return "events_by_task";
  return filter.kinds ? "events_by_kind" : "PRIMARY";
}

/**
 * The events of the rows that `by` finds, as far as they are `wanted`. Every row that it finds holds one that is (a row's kinds
 * say which of its events name the worker), so one look at so many rows gives as many events: no page reads on and on.
 */
function stream(
  reader: Reader,
  index: string,
  pool: string,
  by: SQL | undefined,
  wanted: (event: EventRecord) => boolean,
): Stream<EventRecord> {
  const { events } = reader.tables;
  return {
    async fetch(after, limit) {
      const afterNumber = after?.number ?? 0;
      // The row that holds the first event after it may begin at it or before; those that begin there may hold nothing after it.
      const before = eventsPerRow - 1;
      const rows = await reader.db
        .select()
        .from(events, ...reader.by(index))
        .where(and(by, eq(events.pool, pool), gt(events.number, afterNumber - before)))
        .orderBy(asc(events.number))
        .limit(limit + before);
      return rows.flatMap((row) => eventsOf(row).filter((event) => event.number > afterNumber && wanted(event)));
    },
  };
}
