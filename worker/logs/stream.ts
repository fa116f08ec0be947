/**
 * One output stream of one attempt: what of its file is shipped, on the wire, dropped. Only arithmetic over byte offsets,
 * which are offsets in the file as well: the process appends, and freeing shipped bytes leaves the file's length as it is.
 *
 *     0 ─── acked ─── sent ─── size     below `floor`: gone from the disk; from `cap` on: dropped by the task's bound
 */
import { wireLimits, workerLimits } from "../../schema/limits.ts";

export type StreamName = "stdout" | "stderr";

export interface LogStream {
  readonly attempt: string;
  readonly name: StreamName;
  readonly file: string;
  /** Offset from which on nothing is shipped. */
  cap: number;
  /** The manager has everything below. */
  acked: number;
  /** Everything below is shipped or about to be told of as a gap; the disk may have forgotten it. */
  floor: number;
  /** Everything below was sent; from `acked` to here it waits for an ack. */
  sent: number;
  /** The file's length when it was last looked at. */
  size: number;
  /** The process has ended: the file grows no more. */
  ended: boolean;
  /** Bytes below this are free on disk already; `freedAfterCap` counts the same from `cap` on. */
  freed: number;
  freedAfterCap: number;
  /** Bytes of it on the wire; given back when the ack comes or is overdue. */
  onWire: number;
  /** Resends since the last ack. */
  tries: number;
  /** Mono ms at which it was last sent before its pause was over; an age ago if never. */
  hurriedMono: number;
  /** Mono ms of the last ack, or of the first send after one. */
  progressMono: number;
}

/** What to ship next: a stretch of the file, or the news that a stretch is gone. */
export type Piece =
  | { readonly kind: "bytes"; readonly offset: number; readonly length: number }
  | { readonly kind: "gap"; readonly offset: number; readonly length: number; readonly why: string };

/** Raw bytes of one log message. */
export const pieceBytes = (wireLimits.logChunkBase64Bytes / 4) * 3;

const overCap = (cap: number): string => `output beyond ${cap} bytes of a stream is not kept`;
const forgotten = "dropped unshipped: too much output waited on the worker's disk";

/** A stream as an earlier agent left it, or from its beginning. */
export function newStream(of: Pick<LogStream, "attempt" | "name" | "file" | "cap" | "acked" | "floor">): LogStream {
  return {
    ...of,
    sent: of.acked,
    size: of.acked,
    ended: false,
    freed: 0,
    freedAfterCap: 0,
    onWire: 0,
    tries: 0,
    hurriedMono: Number.NEGATIVE_INFINITY,
    progressMono: 0,
  };
}

/** The next piece from `sent` on; null when there is none now. */
export function nextPiece(stream: LogStream): Piece | null {
  const { sent, floor, size, cap, ended } = stream;
  if (sent < floor) return { kind: "gap", offset: sent, length: floor - sent, why: forgotten };
  const end = Math.min(size, cap);
  if (sent < end) return { kind: "bytes", offset: sent, length: Math.min(pieceBytes, end - sent) };
  if (sent >= size) return null;
  const surplus = size - sent;
  // Told at once, then each time it has doubled, and exactly at the end: an output that never stops costs few gap records.
  if (ended || surplus >= Math.max(1, sent - cap)) return { kind: "gap", offset: sent, length: surplus, why: overCap(cap) };
  return null;
}

/** Notes that a piece went out. */
export function noteSent(stream: LogStream, piece: Piece, mono: number): void {
  if (stream.sent === stream.acked) stream.progressMono = mono;
  stream.sent = piece.offset + piece.length;
  if (piece.kind === "bytes") stream.onWire += piece.length;
}

/** Takes an ack; returns how many bytes it took off the wire. An ack beyond what was sent is a manager that remembers more than this agent. */
export function noteAcked(stream: LogStream, offset: number, mono: number): number {
  if (offset <= stream.acked) return 0;
  stream.acked = offset;
  stream.sent = Math.max(stream.sent, offset);
  stream.size = Math.max(stream.size, offset);
  stream.tries = 0;
  stream.progressMono = mono;
  const before = stream.onWire;
  stream.onWire = Math.min(before, stream.sent - offset);
  return before - stream.onWire;
}

/**
 * The manager's end lies below what it once acknowledged: its store was taken back. What the disk still has is sent again,
 * the rest becomes a gap. Returns how many bytes that took off the wire.
 */
export function moveBack(stream: LogStream, offset: number): number {
  stream.acked = offset;
  stream.floor = Math.max(stream.floor, stream.freed);
  return rewind(stream);
}

/** Back to what is acked: everything after it is sent again. Returns how many bytes that took off the wire. */
export function rewind(stream: LogStream): number {
  const released = stream.onWire;
  stream.onWire = 0;
  stream.sent = stream.acked;
  return released;
}

/** Bytes on disk that are neither shipped nor dropped. */
export function unshipped(stream: LogStream): number {
  return Math.max(0, Math.min(stream.size, stream.cap) - Math.max(stream.acked, stream.floor));
}

/** Everything up to the end of the file is shipped or told of as a gap, and nothing more can come. */
export function isComplete(stream: LogStream): boolean {
  return stream.ended && stream.acked >= stream.size;
}

/** Drops the oldest unshipped bytes so that at most `keep` remain; they become a gap. Returns how many were dropped. */
export function dropOldest(stream: LogStream, keep: number): number {
  const surplus = unshipped(stream) - keep;
  if (surplus <= 0) return 0;
  stream.floor = Math.max(stream.acked, stream.floor) + surplus;
  return surplus;
}

/** The stretches of the file that may be freed now, each at least `logFreeBytes` long. */
export function freeable(stream: LogStream): readonly { readonly offset: number; readonly length: number }[] {
  const spans = [
    { offset: stream.freed, length: Math.min(Math.max(stream.acked, stream.floor), stream.cap) - stream.freed },
    { offset: stream.cap + stream.freedAfterCap, length: stream.size - stream.cap - stream.freedAfterCap },
  ];
  return spans.filter((span) => span.length >= workerLimits.logFreeBytes);
}

/** Bytes of these that the disk has back. */
export function freedBytes(some: readonly LogStream[]): number {
  return some.reduce((sum, { freed, freedAfterCap }) => sum + freed + freedAfterCap, 0);
}

/** After a resend one piece at a time: the manager may be slow, or may not want this stream at all. */
export function maySend(stream: LogStream): boolean {
  if (stream.tries > 0 ? stream.sent > stream.acked : stream.onWire >= workerLimits.logStreamInFlightBytes) return false;
  return nextPiece(stream) !== null;
}
