/** Reads the output of a run's attempts, once or as it grows. Nothing is kept between two reads but a position. */
import { apiLimits } from "../../schema/limits.ts";
import { isTerminal, type RunState } from "../../schema/run.ts";
import type { AttemptRecord } from "../control/records.ts";
import type { LogPiece, LogStream } from "../store/logstore.ts";
import { makeBell } from "./bell.ts";
import type { ApiParts } from "./deps.ts";
import type { RunFound } from "./runs.ts";

export interface LogWish {
  /** Only this attempt; null: the newest, and those that come after it. */
  readonly attempt: number | null;
  /** Where to begin: an attempt's number (null: the newest) and an offset in each stream. */
  readonly begin: { readonly attempt: number | null; readonly stdout: number; readonly stderr: number };
  readonly streams: readonly LogStream[];
  /** At most so many bytes of output in all. */
  readonly limitBytes: number;
  readonly follow: boolean;
  /** Do not cut a UTF-8 character in two while more may come. */
  readonly wholeCharacters: boolean;
}

export interface LogRecord {
  readonly kind: "piece";
  readonly attempt: number;
  readonly stream: LogStream;
  readonly piece: LogPiece;
  /** Where to begin again after this record. */
  readonly at: { readonly stdout: number; readonly stderr: number };
}

/** `beat`: nothing new for a while. `end`: nothing more comes, and the state that the run is in by then. */
export type LogItem = LogRecord | { readonly kind: "beat" } | { readonly kind: "end"; readonly state: RunState };

/**
 * Yields stdout, then stderr; a follower gets both as they grow, attempt after attempt, until the run has ended and nothing
 * has come for `logSettleLooks` looks (output may arrive after the end: they travel apart).
 */
export async function* readLog(parts: ApiParts, first: RunFound, wish: LogWish, signal: AbortSignal): AsyncGenerator<LogItem> {
  const reader = makeReader(parts, wish);
  const bell = makeBell();
  const unhook = wish.follow ? parts.hub.onRun(first.run.id, () => bell.ring()) : undefined;
  try {
    if (unhook) await parts.hub.hearing();
    let found = unhook ? ((await parts.store.run(first.run.id)) ?? first) : first;
    let current = attemptOf(found, wish.attempt ?? wish.begin.attempt);
    let quietLooks = 0;
    for (let looks = 1; !signal.aborted; looks += 1) {
      let moved = false;
      if (current) {
        for await (const record of reader.round(current)) {
          moved = true;
          yield record;
        }
      }
      if (reader.isFull() || (!moved && !wish.follow)) break;
      if (moved) {
        quietLooks = 0;
        continue;
      }
      const next =
        wish.attempt === null && current
          ? found.attempts.find((a) => a.number === (current as AttemptRecord).number + 1)
          : undefined;
      const over = next !== undefined || isTerminal(found.run.state) || (wish.attempt !== null && current?.state === "ended");
      if (over && (quietLooks >= apiLimits.logSettleLooks || !current)) {
        if (current) yield* reader.rest(current);
        if (!next) break;
        current = next;
        reader.rewind();
        quietLooks = 0;
        continue;
      }
      const heard = await bell.heard(apiLimits.logFollowPollMs, signal);
      quietLooks = heard ? 0 : quietLooks + 1;
      if (looks % Math.ceil(parts.limits.streamBeatMs / apiLimits.logFollowPollMs) === 0) yield { kind: "beat" };
      else if (!heard) continue;
      found = (await parts.store.run(first.run.id)) ?? found;
      current = attemptOf(found, current?.number ?? wish.attempt);
    }
    if (!wish.follow && current) yield* reader.rest(current);
    if (!signal.aborted) yield { kind: "end", state: found.run.state };
  } finally {
    unhook?.();
  }
}

function attemptOf(found: RunFound, number: number | null): AttemptRecord | undefined {
  if (number !== null) return found.attempts.find((attempt) => attempt.number === number);
  return found.attempts.reduce<AttemptRecord | undefined>(
    (newest, a) => (newest && newest.number > a.number ? newest : a),
    undefined,
  );
}

function makeReader(parts: ApiParts, wish: LogWish) {
  const at = { stdout: wish.begin.stdout, stderr: wish.begin.stderr };
  let left = wish.limitBytes;

  async function* chunk(attempt: AttemptRecord, stream: LogStream, whole: boolean): AsyncGenerator<LogRecord> {
    const { pieces } = await parts.logs.read(attempt.id, stream, at[stream], Math.min(left, apiLimits.logReadBytes));
    for (const [index, piece] of pieces.entries()) {
      const isLast = index === pieces.length - 1;
      const shown =
        piece.kind === "bytes" && isLast && whole
          ? { ...piece, bytes: piece.bytes.subarray(0, wholeLength(piece.bytes)) }
          : piece;
      const length = shown.kind === "bytes" ? shown.bytes.byteLength : shown.length;
      if (length === 0) continue;
      at[stream] = shown.offset + length;
      if (shown.kind === "bytes") left -= length;
      yield { kind: "piece", attempt: attempt.number, stream, piece: shown, at: { ...at } };
    }
  }

  return {
    isFull: () => left <= 0,
    rewind() {
      at.stdout = 0;
      at.stderr = 0;
    },
    /** Everything there is, or for a follower one stretch of each stream, so that neither waits for the other. */
    async *round(attempt: AttemptRecord): AsyncGenerator<LogRecord> {
      for (const stream of wish.streams) {
        for (let more = true; more && left > 0;) {
          more = false;
          for await (const record of chunk(attempt, stream, wish.wholeCharacters)) {
            more = !wish.follow;
            yield record;
          }
        }
      }
    },
    /** What was held back in the hope of the rest of a character. */
    async *rest(attempt: AttemptRecord): AsyncGenerator<LogRecord> {
      for (const stream of wish.streams) if (left > 0) yield* chunk(attempt, stream, false);
    },
  };
}

/** How many bytes can be shown without cutting the last UTF-8 character; all of them when they are not UTF-8 there. */
export function wholeLength(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.byteLength); back += 1) {
    const byte = bytes[bytes.byteLength - back] as number;
    if (byte < 0x80) return bytes.byteLength;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.byteLength - back : bytes.byteLength;
    }
  }
  return bytes.byteLength;
}
