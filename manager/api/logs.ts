/** The output of a run: as text, as one JSON object per line, or as an event stream. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { problem } from "../../schema/problem.ts";
import { preferred } from "./accept.ts";
import { utf8Of } from "./body.ts";
import { readLog, type LogItem, type LogRecord, type LogWish } from "./log-reader.ts";
import { flag, wholeNumber } from "./queries.ts";
import { route, type AnyRoute } from "./route.ts";
import { findRun } from "./runs.ts";

const offset = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** One stretch of output as NDJSON and event streams show it. */
export const logRecord = z.strictObject({
  attempt: z.int(),
  stream: z.enum(["stdout", "stderr"]),
  offset: z.int().describe("bytes before it in its stream"),
  length: z.int().describe("bytes; the next record of the stream begins at offset + length"),
  text: z.string().optional(),
  base64: z.string().optional().describe("instead of text, where the bytes are not UTF-8"),
  gap: z.string().optional().describe("instead of text: these bytes are missing, and why"),
});

const types = ["text/plain", "application/x-ndjson", "text/event-stream"] as const;

const query = z.strictObject({
  attempt: wholeNumber(1, 1_000_000).optional().describe("the number of an attempt; the newest when not said"),
  stream: z
    .enum(["stdout", "stderr"])
    .optional()
    .describe("both when not said: stdout first, or both as they grow when following"),
  from: offset.optional().describe("the byte offset to begin at; needs `stream`"),
  limit: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional().describe("at most so many bytes of output"),
  follow: flag.optional().describe("go on until the run has ended, through all its further attempts"),
});
type LogQuery = z.output<typeof query>;

const getLogs = route<{ id: string }, LogQuery, undefined>(
  {
    method: "get",
    path: "/runs/{id}/logs",
    operationId: "getRunLogs",
    tag: "runs",
    summary: "The output of a run",
    description:
      "As text by default; `Accept: application/x-ndjson` or `text/event-stream` name stream and offset of each stretch. Output that was dropped shows as a marked line in text and as a record with `gap` elsewhere. Event ids are `attempt,stdout,stderr` (offsets); sent back as Last-Event-ID they go on where they were.",
    permission: "runs:read",
    params: z.strictObject({ id }),
    query,
    headers: { "Last-Event-ID": { description: "where an event stream goes on", schema: z.string().optional() } },
    replies: {
      200: {
        description: "the output; an event stream ends with the event `end` and `{state}`, the run's state by then",
        content: {
          "text/plain": "the bytes as the process wrote them",
          "application/x-ndjson": logRecord,
          "text/event-stream": logRecord,
        },
      },
    },
    problems: ["malformed", "not-found", "not-acceptable", "too-many"],
  },
  async (call) => {
    const { parts, params, query: asked, subject } = call;
    subject.runId = params.id;
    const type = preferred(call.header("accept"), types);
    const found = await findRun(parts, params.id);
    subject.taskId = found.run.taskId;
    if (asked.attempt !== undefined && !found.attempts.some((attempt) => attempt.number === asked.attempt)) {
      throw problem("not-found", `the run has no attempt ${asked.attempt}; it has ${found.attempts.length}`);
    }
    const wish = wishOf(asked, type, type === "text/event-stream" ? call.header("last-event-id") : undefined);
    const write = writers[type];
    return {
      status: 200,
      headers: {
        "content-type": type === "text/plain" ? "text/plain; charset=utf-8" : type,
        "cache-control": "no-store, no-transform",
        "x-accel-buffering": "no",
      },
      stream: () =>
        parts.streams.open(
          async function* (signal) {
            for await (const item of readLog(parts, found, wish, signal)) {
              const text = write(item);
              if (text !== undefined) yield text;
            }
          },
          (error) => parts.log.error({ err: error, runId: params.id }, "reading a log failed"),
        ),
    };
  },
);

function wishOf(asked: LogQuery, type: (typeof types)[number], lastEventId: string | undefined): LogWish {
  if (asked.from !== undefined && asked.stream === undefined) {
    throw problem("malformed", "from is an offset in one stream: say which", {
      errors: [{ at: "stream", message: "is needed with from" }],
    });
  }
  const resumed = lastEventId === undefined ? undefined : /^(\d{1,7}),(\d{1,15}),(\d{1,15})$/.exec(lastEventId);
  if (resumed === null)
    throw problem("malformed", "Last-Event-ID is not one of this log", {
      errors: [{ at: "Last-Event-ID", message: "must be attempt,stdout,stderr" }],
    });
  const from = (stream: "stdout" | "stderr"): number => (asked.stream === stream ? (asked.from ?? 0) : 0);
  return {
    attempt: asked.attempt ?? null,
    begin: resumed
      ? { attempt: Number(resumed[1]), stdout: Number(resumed[2]), stderr: Number(resumed[3]) }
      : { attempt: null, stdout: from("stdout"), stderr: from("stderr") },
    streams: asked.stream === undefined ? ["stdout", "stderr"] : [asked.stream],
    limitBytes: asked.limit ?? Number.MAX_SAFE_INTEGER,
    follow: asked.follow ?? false,
    wholeCharacters: type !== "text/plain",
  };
}

function recordText({ attempt, stream, piece }: LogRecord): string {
  const place = { attempt, stream, offset: piece.offset };
  if (piece.kind === "gap") return JSON.stringify({ ...place, length: piece.length, gap: piece.why });
  const text = utf8Of(piece.bytes);
  const content = text === undefined ? { base64: Buffer.from(piece.bytes).toString("base64") } : { text };
  return JSON.stringify({ ...place, length: piece.bytes.byteLength, ...content });
}

/** How each type writes an item; undefined writes nothing. */
const writers: Readonly<Record<(typeof types)[number], (item: LogItem) => string | Uint8Array | undefined>> = {
  "text/plain": (item) => {
    if (item.kind !== "piece") return undefined;
    const { piece, stream } = item;
    return piece.kind === "bytes" ? piece.bytes : `\n[muster: ${piece.length} bytes of ${stream} are missing: ${piece.why}]\n`;
  },
  "application/x-ndjson": (item) => (item.kind === "piece" ? `${recordText(item)}\n` : undefined),
  "text/event-stream": (item) => {
    switch (item.kind) {
      case "piece":
        return `id: ${item.attempt},${item.at.stdout},${item.at.stderr}\nevent: log\ndata: ${recordText(item)}\n\n`;
      case "beat":
        return ": beat\n\n";
      case "end":
        return `event: end\ndata: ${JSON.stringify({ state: item.state })}\n\n`;
    }
  },
};

export const logRoutes: readonly AnyRoute[] = [getLogs];
