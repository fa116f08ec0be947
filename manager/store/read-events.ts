/**
 * Events, oldest first. Each pool is a stream of its own in the order of its numbers; streams are merged by time. What
 * serves each filter: `runId` events_by_run; `workerId` events_by_worker; `taskId` events_by_task (both hold the kind, so a
 * filter by kind beside them reads the index alone); `kinds` alone events_by_kind, a stream for each kind; none the key.
 */
import { setImmediate } from "node:timers/promises";
import { and, asc, eq, gt, inArray, lte, type SQL } from "drizzle-orm";
import type { EventRecord } from "../control/records.ts";
import { eventsOf, eventsPerRow, kindTextsOf } from "./event-rows.ts";
import { mergedPage, type Stream } from "./merge.ts";
import type { Reader } from "./reader.ts";
import type { EventFilter } from "./store.ts";

/** Numbers that one statement walks at the most for a filter that its index only serves in part. */
const windowNumbers = 20_000;

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
  const { runId, workerId, taskId, kinds } = filter;
  const wanted = (event: EventRecord): boolean =>
    (workerId === undefined || event.workerId === workerId) && (kinds?.includes(event.kind) ?? true);
  const subjects = [
    runId === undefined ? undefined : { index: "events_by_run", is: eq(events.runId, runId) },
    workerId === undefined ? undefined : { index: "events_by_worker", is: eq(events.workerId, workerId) },
    taskId === undefined ? undefined : { index: "events_by_task", is: eq(events.taskId, taskId) },
  ].filter((one) => one !== undefined);
  const texts = kinds && kindTextsOf(kinds, workerId === undefined ? "anything" : "worker");
  const [served, ...others] = subjects;
  const rest = [...others.map(({ is }) => is), ...(texts && served ? [inArray(events.kind, texts)] : [])];
  const looks: Look[] = served
    ? [{ ...served, rest: and(...rest) }]
    : texts
      ? texts.map((text) => ({ index: "events_by_kind", is: eq(events.kind, text), rest: undefined }))
      : [{ index: "PRIMARY", is: undefined, rest: undefined }];
  const page = await mergedPage<EventRecord>({
    streams: looks.map((look) => stream(reader, pool, look, wanted)),
    after: { number: numberAfter(filter, pool) } as EventRecord,
    compare: (a, b) => a.number - b.number,
    keep: () => true,
    limit: filter.limit,
    scanRows: Number.POSITIVE_INFINITY,
  });
  return page.items;
}

/** What an index finds in the order of the numbers (`is`), and what each of its rows is then held against. */
interface Look {
  readonly index: string;
  readonly is: SQL | undefined;
  readonly rest: SQL | undefined;
}

/**
 * The events of the rows that a look finds, as far as they are `wanted`. Every row that it finds holds one that is (a row's kinds
 * say which of its events name the worker), so as many rows give as many events: no page reads rows on and on. Where an index
 * serves a filter in part, it is walked a window at a time, and between windows others have their turn: SQLite answers at once.
 */
function stream(
  reader: Reader,
  pool: string,
  { index, is, rest }: Look,
  wanted: (event: EventRecord) => boolean,
): Stream<EventRecord> {
  const { events } = reader.tables;
  const ofPool = eq(events.pool, pool);
  // A run's own history is short.
  const windowed = rest !== undefined && index !== "events_by_run";
  const rowsOf = (from: number, to: number, limit: number) =>
    reader.db
      .select()
      .from(events, ...reader.by(index))
      .where(and(is, rest, ofPool, gt(events.number, from), to === Infinity ? undefined : lte(events.number, to)))
      .orderBy(asc(events.number))
      .limit(limit);
  const firstAfter = async (number: number): Promise<number | undefined> => {
    const [row] = await reader.db
      .select({ number: events.number })
      .from(events, ...reader.by(index))
      .where(and(is, ofPool, gt(events.number, number)))
      .orderBy(asc(events.number))
      .limit(1);
    return row?.number;
  };
  return {
    async fetch(after, limit) {
      const afterNumber = after?.number ?? 0;
      // The row that holds the first event after it may begin at it or before; those that begin there may hold nothing after it.
      const before = eventsPerRow - 1;
      const rows: Awaited<ReturnType<typeof rowsOf>> = [];
      const most = limit + before;
      for (let from: number | undefined = afterNumber - before; from !== undefined;) {
        const to: number = windowed ? from + windowNumbers : Infinity;
        rows.push(...(await rowsOf(from, to, most - rows.length)));
        if (!windowed || rows.length === most) break;
        const next = await firstAfter(to);
        from = next === undefined ? undefined : next - 1;
        if (from !== undefined) await setImmediate();
      }
      return rows.flatMap((row) => eventsOf(row).filter((event) => event.number > afterNumber && wanted(event)));
    },
  };
}
