/** The manager's end of log shipping, as its log store behaves: contiguous, idempotent by offset, acked by its end. */
import type { LogPiece } from "../../../worker/logs/piece.ts";
import type { StreamName } from "../../../worker/logs/stream.ts";

export interface StoredGap {
  readonly offset: number;
  readonly bytes: number;
  readonly why: string;
}

export class ManagerStore {
  readonly #streams = new Map<string, { end: number; chunks: { offset: number; bytes: Buffer }[]; gaps: StoredGap[] }>();

  /** Stores a piece; returns the stream's end, which is what gets acknowledged. */
  append(piece: LogPiece): number {
    const stream = this.#of(piece.attempt, piece.stream);
    if (piece.offset > stream.end) return stream.end;
    const bytes = Buffer.from(piece.bytes, "base64");
    const until = piece.offset + (piece.gap?.bytes ?? bytes.byteLength);
    if (until <= stream.end) return stream.end;
    if (piece.gap) stream.gaps.push({ offset: stream.end, bytes: until - stream.end, why: piece.gap.why });
    else stream.chunks.push({ offset: stream.end, bytes: bytes.subarray(stream.end - piece.offset) });
    stream.end = until;
    return stream.end;
  }

  end(attempt: string, name: StreamName): number {
    return this.#of(attempt, name).end;
  }

  bytes(attempt: string, name: StreamName): Buffer {
    return Buffer.concat(this.#of(attempt, name).chunks.map((chunk) => chunk.bytes));
  }

  gaps(attempt: string, name: StreamName): readonly StoredGap[] {
    return this.#of(attempt, name).gaps;
  }

  /** Forgets everything from `end` on, as a restored backup does. */
  takeBack(attempt: string, name: StreamName, end: number): void {
    const stream = this.#of(attempt, name);
    stream.chunks = stream.chunks
      .filter((chunk) => chunk.offset < end)
      .map((chunk) => ({ ...chunk, bytes: chunk.bytes.subarray(0, end - chunk.offset) }));
    stream.gaps = stream.gaps.filter((gap) => gap.offset < end);
    stream.end = end;
  }

  #of(attempt: string, name: StreamName): { end: number; chunks: { offset: number; bytes: Buffer }[]; gaps: StoredGap[] } {
    const key = `${attempt} ${name}`;
    let stream = this.#streams.get(key);
    if (!stream) this.#streams.set(key, (stream = { end: 0, chunks: [], gaps: [] }));
    return stream;
  }
}
