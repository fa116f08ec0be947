/** Arithmetic of a stream that has gaps: offsets count what the process wrote, the bytes that are kept are fewer. */
import type { LogPiece } from "./logstore.ts";

export interface Gap {
  readonly offset: number;
  readonly length: number;
  readonly why: string;
}

/** Where the stream ends, when `kept` bytes of it are held. */
export function endOf(gaps: readonly Gap[], kept: number): number {
  return gaps.reduce((end, gap) => end + gap.length, kept);
}

/** The gaps with one more at the stream's end; one that follows another for the same reason continues it. */
export function withGap(gaps: readonly Gap[], next: Gap, gapsMax: number): Gap[] {
  const last = gaps.at(-1);
  const follows = last !== undefined && last.offset + last.length === next.offset;
  if (follows && last.why === next.why) return [...gaps.slice(0, -1), { ...last, length: last.length + next.length }];
  // At the bound one reason speaks for all: a stream must not cost without end.
  if (follows && gaps.length >= gapsMax) return [...gaps.slice(0, -1), { ...last, length: last.length + next.length }];
  return [...gaps, next];
}

/**
 * The piece as it is kept at the stream's end: bytes that follow the last gap at the bound become part of it, or a stream of a
 * byte, a gap, a byte and so on would cost without end.
 */
export function withinGaps(piece: LogPiece, gaps: readonly Gap[], gapsMax: number): LogPiece {
  const last = gaps.at(-1);
  if (piece.kind === "gap" || gaps.length < gapsMax || !last || last.offset + last.length !== piece.offset) return piece;
  return { kind: "gap", offset: piece.offset, length: piece.bytes.length, why: last.why };
}

/** A stretch of held bytes that belongs to a reading: `at` counts in the held bytes, `offset` in the stream. */
export type Stretch =
  | { readonly kind: "bytes"; readonly offset: number; readonly at: number; readonly length: number }
  | (LogPiece & { readonly kind: "gap" });

/** What a reading from `from` on consists of, at most `limit` bytes; gaps weigh nothing. */
export function stretches(gaps: readonly Gap[], kept: number, from: number, limit: number): Stretch[] {
  const found: Stretch[] = [];
  let left = limit;
  let offset = 0;
  let at = 0;
  for (const gap of [...gaps, undefined]) {
    const length = gap ? gap.offset - offset : kept - at;
    const skipped = Math.min(Math.max(0, from - offset), length);
    const taken = Math.min(left, length - skipped);
    if (taken > 0) found.push({ kind: "bytes", offset: offset + skipped, at: at + skipped, length: taken });
    left -= taken;
    if (!gap || skipped + taken < length) break;
    const passed = Math.min(Math.max(0, from - gap.offset), gap.length);
    if (passed < gap.length) found.push({ kind: "gap", offset: gap.offset + passed, length: gap.length - passed, why: gap.why });
    offset = gap.offset + gap.length;
    at += length;
  }
  return found;
}

/**
 * What remains of a piece after the part that the stream has already: null when all of it is there, or when it begins
 * beyond the stream's end and cannot be stored yet.
 */
export function remainder(piece: LogPiece, end: number): LogPiece | null {
  const length = piece.kind === "bytes" ? piece.bytes.length : piece.length;
  if (piece.offset > end || piece.offset + length <= end) return null;
  const passed = end - piece.offset;
  if (piece.kind === "bytes") return { kind: "bytes", offset: end, bytes: piece.bytes.subarray(passed) };
  return { kind: "gap", offset: end, length: length - passed, why: piece.why };
}
