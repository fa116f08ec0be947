/** One piece of output as it goes into a `logs` message. */
import { readPlainFile } from "../plain-file.ts";
import type { LogStream, Piece, StreamName } from "./stream.ts";

/** What goes into one `logs` message besides the envelope. */
export interface LogPiece {
  readonly attempt: string;
  readonly stream: StreamName;
  readonly offset: number;
  /** Base64, empty with a gap. */
  readonly bytes: string;
  readonly gap?: { readonly bytes: number; readonly why: string };
}

/**
 * Reads a piece from the stream's file and makes its message. Where the process itself cut or removed the file, the rest of
 * what it had written becomes a gap. `covers` is the stretch that the message speaks for. Rejects when the file cannot be read.
 */
export async function readPiece(
  stream: LogStream,
  piece: Piece,
): Promise<{ readonly covers: Piece; readonly message: LogPiece }> {
  if (piece.kind === "gap") return gapPiece(stream, piece.offset, piece.length, piece.why);
  const bytes = await readPlainFile(stream.file, piece.offset, piece.length);
  if (bytes.byteLength === 0) {
    return gapPiece(
      stream,
      piece.offset,
      Math.min(stream.size, stream.cap) - piece.offset,
      "the output file was cut or removed on the worker",
    );
  }
  return {
    covers: { kind: "bytes", offset: piece.offset, length: bytes.byteLength },
    message: { attempt: stream.attempt, stream: stream.name, offset: piece.offset, bytes: bytes.toString("base64") },
  };
}

function gapPiece(
  stream: LogStream,
  offset: number,
  length: number,
  why: string,
): { readonly covers: Piece; readonly message: LogPiece } {
  return {
    covers: { kind: "gap", offset, length, why },
    message: { attempt: stream.attempt, stream: stream.name, offset, bytes: "", gap: { bytes: length, why } },
  };
}
