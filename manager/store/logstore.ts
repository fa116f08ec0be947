/** Where the output of attempts lives: a folder (one manager) or a table (any number); one contract suite for both. */
export type LogStream = "stdout" | "stderr";

/** A stretch of one stream. `offset` counts the bytes that the process wrote, dropped ones included. */
export type LogPiece =
  | { readonly kind: "bytes"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "gap"; readonly offset: number; readonly length: number; readonly why: string };

export interface LogStore {
  /**
   * Stores the piece if it begins at or before the stream's end; the part that is already there is passed over, so a
   * repeated message doubles nothing. Returns the stream's end after it: what may be acknowledged. A piece that begins
   * beyond the end is not stored (the worker sends again from the end that this returns).
   */
  append(attemptId: string, stream: LogStream, piece: LogPiece): Promise<number>;
  /** Pieces from `from` on, at most `limit` bytes; `end` is the stream's end. */
  read(
    attemptId: string,
    stream: LogStream,
    from: number,
    limit: number,
  ): Promise<{ readonly pieces: readonly LogPiece[]; readonly end: number }>;
  remove(attemptId: string): Promise<void>;
}
