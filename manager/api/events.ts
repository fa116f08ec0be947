/** History: pages of it, or a stream that goes on. */
import * as z from "zod";
import { eventKinds, eventView } from "../../schema/event.ts";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import { preferred } from "./accept.ts";
import { eventStream } from "./event-stream.ts";
import { limit, oneOrMoreOf, pageOf } from "./queries.ts";
import { json, route, type AnyRoute } from "./route.ts";
import { given } from "./tasks.ts";
import { formatVector, parseVector, withEvent, type Vector } from "./vector.ts";
import { eventViewOf } from "./views.ts";

const vectorText = z.string().max(4_000);

const query = z.strictObject({
  runId: id.optional(),
  taskId: id.optional(),
  workerId: id.optional(),
  kind: oneOrMoreOf(eventKinds).optional().describe("one or more kinds, with commas"),
  after: vectorText.optional().describe("events after this id; a stream begins now, a page at the beginning when not said"),
  limit,
  cursor: vectorText.optional().describe("`next` of the page before; the same as after"),
});
type EventQuery = z.output<typeof query>;

const getEvents = route<Record<never, never>, EventQuery, undefined>(
  {
    method: "get",
    path: "/events",
    operationId: "listEvents",
    tag: "events",
    summary: "What happened, oldest first",
    description:
      "JSON pages, or with `Accept: text/event-stream` a stream that goes on. The id of an event is the vector `pool:number,…` of the stream up to it; given back as Last-Event-ID or `after` it goes on from there without a miss or a double. The event `reset` means that the reader was too slow: it connects again with its last id.",
    permission: "events:read",
    query,
    headers: { "Last-Event-ID": { description: "where a stream goes on", schema: z.string().optional() } },
    replies: {
      200: {
        description: "events",
        content: { "application/json": pageOf(eventView), "text/event-stream": eventView },
        headers: { Link: "the next page" },
      },
    },
    problems: ["malformed", "not-acceptable", "too-many"],
  },
  async (call) => {
    const { parts, query: asked } = call;
    const type = preferred(call.header("accept"), ["application/json", "text/event-stream"]);
    const wish = given({ runId: asked.runId, taskId: asked.taskId, workerId: asked.workerId, kinds: asked.kind });
    if (type === "application/json")
      return pageOfEvents(call.request.url, beginOf(asked, undefined) ?? {}, async (after) => {
        const most = asked.limit ?? requestLimits.listDefault;
        const items = await parts.store.events({ ...wish, after, limit: most });
        return { items, full: items.length === most };
      });
    const from = beginOf(asked, call.header("last-event-id"));
    return {
      status: 200,
      headers: { "content-type": "text/event-stream", "cache-control": "no-store, no-transform", "x-accel-buffering": "no" },
      stream: () =>
        parts.streams.open(
          (signal) => eventStream(parts, wish, from, signal),
          (error) => parts.log.error({ err: error }, "a stream of events failed"),
        ),
    };
  },
);

function beginOf(asked: EventQuery, lastEventId: string | undefined): Vector | null {
  if (asked.after !== undefined && asked.cursor !== undefined) {
    throw problem("malformed", "after and cursor are the same thing: give one", {
      errors: [{ at: "cursor", message: "cannot stand beside after" }],
    });
  }
  if (lastEventId !== undefined) return parseVector(lastEventId, "Last-Event-ID");
  if (asked.cursor !== undefined) return parseVector(asked.cursor, "cursor");
  return asked.after === undefined ? null : parseVector(asked.after, "after");
}

async function pageOfEvents(
  address: string,
  after: Vector,
  read: (after: Vector) => Promise<{ readonly items: readonly Parameters<typeof eventViewOf>[0][]; readonly full: boolean }>,
) {
  const { items, full } = await read(after);
  let vector = after;
  const views = items.map((event) => {
    vector = withEvent(vector, event);
    return eventViewOf(event, formatVector(vector));
  });
  if (!full) return json(200, { items: views, next: null });
  const url = new URL(address);
  url.searchParams.delete("after");
  url.searchParams.set("cursor", formatVector(vector));
  return json(200, { items: views, next: formatVector(vector) }, { link: `<${url.pathname}${url.search}>; rel="next"` });
}

export const eventRoutes: readonly AnyRoute[] = [getEvents];
