import { beforeEach, describe, expect, test } from "vitest";
import type { EventView } from "../../../schema/event.ts";
import { apiLimits } from "../../../schema/limits.ts";
import { formatVector, parseVector } from "../../../manager/api/vector.ts";
import type { EventRecord } from "../../../manager/control/records.ts";
import { rig, type Rig } from "./kit.ts";
import { eventRow } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
});

const insert = (...events: EventRecord[]): Promise<void> =>
  r.commit(...events.map((row) => ({ op: "insertEvent" as const, row })));

interface Seen {
  readonly event?: string;
  readonly id?: string;
  readonly data?: string;
}

/** Reads the stream block by block; comments alone are passed over unless asked for. */
function reader(response: Response) {
  const chunks = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  return {
    async next(): Promise<Seen | undefined> {
      for (;;) {
        const end = text.indexOf("\n\n");
        if (end >= 0) {
          const block = text.slice(0, end);
          text = text.slice(end + 2);
          return Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s) as [string, string]));
        }
        const { done, value } = await chunks.read();
        if (done) return undefined;
        text += Buffer.from(value).toString();
      }
    },
    leave: () => chunks.cancel(),
  };
}

async function open(path: string, headers: Record<string, string> = {}): Promise<ReturnType<typeof reader>> {
  const response = await r.call("GET", path, { headers: { accept: "text/event-stream", ...headers } });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  expect(response.headers.get("cache-control")).toContain("no-transform");
  return reader(response);
}

describe("pages", () => {
  test("oldest first, by every filter, on by cursor or after", async () => {
    await insert(
      eventRow(1),
      eventRow(2, { runId: "r2", kind: "runEnded" }),
      eventRow(3, { taskId: "t9", workerId: "w1", kind: "attemptSent" }),
    );
    const page = async (query: string): Promise<{ items: EventView[]; next: string | null; link: string | null }> => {
      const response = await r.call("GET", `/events${query}`);
      expect(response.status).toBe(200);
      return { ...((await response.json()) as { items: EventView[]; next: string | null }), link: response.headers.get("link") };
    };
    const numbers = async (query: string): Promise<number[]> => (await page(query)).items.map(({ number }) => number);
    expect(await numbers("")).toEqual([1, 2, 3]);
    expect(await numbers("?runId=r2")).toEqual([2]);
    expect(await numbers("?taskId=t9")).toEqual([3]);
    expect(await numbers("?workerId=w1")).toEqual([3]);
    expect(await numbers("?kind=runEnded,attemptSent")).toEqual([2, 3]);
    expect(await numbers("?after=default:2")).toEqual([3]);
    const first = await page("?limit=2&after=default:0");
    expect(first.items.map(({ id }) => id)).toEqual(["default:1", "default:2"]);
    expect(first.next).toBe("default:2");
    const link = /<([^>]+)>/.exec(first.link ?? "")?.[1] ?? "";
    const rest = (await (await r.call("GET", link)).json()) as { items: EventView[]; next: string | null };
    expect(rest.items.map(({ number }) => number)).toEqual([3]);
    expect(rest.next).toBeNull();
  });

  test.each([
    "?after=x",
    "?after=default:-1",
    "?cursor=default",
    "?after=default:1&cursor=default:1",
    "?kind=nothing",
    "?since=1",
  ])("%s is 400", async (query) => {
    expect((await r.call("GET", `/events${query}`)).status).toBe(400);
  });
});

describe("the stream", () => {
  test("begins now, and tells each event once", async () => {
    await insert(eventRow(1));
    const events = await open("/events");
    expect(await events.next()).toMatchObject({ retry: "3000", id: "default:1" });
    const next = events.next();
    await insert(eventRow(2));
    r.plane.emit(eventRow(2));
    expect(await next).toMatchObject({ event: "runQueued", id: "default:2" });
    r.plane.emit(eventRow(2), eventRow(3, { kind: "runEnded" }));
    expect(await events.next()).toMatchObject({ event: "runEnded", id: "default:3" });
    await events.leave();
  });

  test("resumed, it joins history to what is live without a miss or a double, while events come", async () => {
    const total = apiLimits.catchUpPage * 2 + 50;
    await insert(...Array.from({ length: apiLimits.catchUpPage + 20 }, (_, index) => eventRow(index + 1)));
    const read = r.store.events.bind(r.store);
    let written = apiLimits.catchUpPage + 20;
    Object.assign(r.store, {
      events: async (filter: Parameters<typeof read>[0]) => {
        // Some become durable and are told before the page is read, some after it.
        const write = async (): Promise<void> => {
          if (written >= total) return;
          const fresh = Array.from({ length: Math.min(40, total - written) }, (_, index) => eventRow(written + index + 1));
          written += fresh.length;
          await insert(...fresh);
          r.plane.emit(...fresh);
        };
        await write();
        const page = await read(filter);
        await write();
        return page;
      },
    });
    const events = await open("/events", { "last-event-id": "default:10" });
    await events.next();
    const seen: number[] = [];
    while (seen.at(-1) !== total) {
      const event = await events.next();
      if (event?.data === undefined) continue;
      seen.push((JSON.parse(event.data) as EventView).number);
      if (written < total && seen.length % 100 === 0) {
        const fresh = [eventRow(written + 1), eventRow(written + 2)].slice(0, total - written);
        written += fresh.length;
        await insert(...fresh);
        r.plane.emit(...fresh);
      }
      if (seen.at(-1) === written && written < total) {
        const last = Array.from({ length: total - written }, (_, index) => eventRow(written + index + 1));
        written = total;
        await insert(...last);
        r.plane.emit(...last);
      }
    }
    expect(seen).toEqual(Array.from({ length: total - 10 }, (_, index) => index + 11));
    await events.leave();
  });

  test("shows only what was asked for, and its quiet times carry the newest id", async () => {
    r = await rig({ limits: { streamBeatMs: 20 } });
    const events = await open("/events?runId=r7&after=default:0");
    await events.next();
    await insert(eventRow(1), eventRow(2, { runId: "r7" }), eventRow(3));
    const tell = async (...told: EventRecord[]): Promise<void> => {
      await insert(...told);
      r.plane.emit(...told);
    };
    expect(await events.next()).toMatchObject({ event: "runQueued", id: "default:2" });
    expect(await events.next()).toEqual({ "": "beat", id: "default:2" });
    await tell(eventRow(4));
    let beat = await events.next();
    while (beat?.id !== "default:4") beat = await events.next();
    expect(beat).toEqual({ "": "beat", id: "default:4" });
    await tell(eventRow(5, { runId: "r7", kind: "runEnded" }));
    while (beat?.data === undefined) beat = await events.next();
    expect(beat).toMatchObject({ event: "runEnded", id: "default:5" });
    await events.leave();
  });

  test("a reader who is too far behind is told to come back, and then misses nothing", async () => {
    r = await rig({ limits: { sseBufferBytes: 2_000 } });
    const events = await open("/events");
    await events.next();
    const second = events.next();
    await insert(eventRow(1));
    r.plane.emit(eventRow(1));
    expect(await second).toMatchObject({ id: "default:1" });
    const flood = Array.from({ length: 50 }, (_, index) => eventRow(index + 2));
    await insert(...flood);
    for (const event of flood) r.plane.emit(event);
    let last: Seen | undefined;
    let told: Seen | undefined;
    for (let event = await events.next(); event; event = await events.next()) {
      if (event.event === "reset") told = event;
      else last = event;
    }
    expect(told).toBeDefined();
    const again = await open("/events", { "last-event-id": last?.id ?? "default:1" });
    await again.next();
    const from = Number((last?.id ?? "default:1").split(":")[1]);
    for (let number = from + 1; number <= 51; number += 1) expect(await again.next()).toMatchObject({ id: `default:${number}` });
    await again.leave();
  });

  test("there are as many streams as the bound says, and one that leaves makes room", async () => {
    r = await rig({ limits: { sseClients: 1 } });
    const only = await open("/events");
    await only.next();
    const refused = await r.call("GET", "/events", { headers: { accept: "text/event-stream" } });
    expect(refused.status).toBe(429);
    await only.leave();
    const next = await open("/events");
    await next.leave();
  });

  test("ends for everybody when the manager stops", async () => {
    const events = await open("/events");
    await events.next();
    const rest = events.next();
    await new Promise((resolve) => setImmediate(resolve));
    r.app.endStreams();
    expect(await rest).toBeUndefined();
    expect(r.plane.listeners).toBe(0);
  });

  test("HEAD opens none", async () => {
    r = await rig({ limits: { sseClients: 0 } });
    expect((await r.call("HEAD", "/events", { headers: { accept: "text/event-stream" } })).status).toBe(200);
  });
});

test("a vector reads back as it was written, its pools in order", () => {
  expect(formatVector(parseVector("edge:3,default:10", "after"))).toBe("default:10,edge:3");
  expect(formatVector(parseVector("", "after"))).toBe("");
  expect(formatVector(parseVector("__proto__:1", "after"))).toBe("__proto__:1");
});
