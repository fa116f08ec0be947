import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import type { LogPiece, LogStream } from "../logstore.ts";
import type { Connections } from "./connection.ts";

const decompress = promisify(zstdDecompress);

/** A stretch of a chunk that belongs to a reading. */
interface Stretch {
  /** Of the chunk. */
  readonly chunkAt: number;
  readonly from: number;
  readonly to: number;
  /** A gap's reason; null: bytes. */
  readonly why: string | null;
}

/** Pieces from `from` on, at most `limit` bytes; gaps weigh nothing. Bytes that follow each other are one piece. */
export async function readLog(
  connections: Connections,
  attemptId: string,
  stream: LogStream,
  from: number,
  limit: number,
): Promise<{ readonly pieces: readonly LogPiece[]; readonly end: number }> {
  const of = [attemptId, stream] as const;
  const [row] = await connections.read("SELECT `end` FROM `log_streams` WHERE `attempt_id` = ? AND `stream` = ?", [...of]);
  const end = Number(row?.[0] ?? 0);
  const stretches = await stretchesOf(connections, of, { from, end, limit });
  const bytes = await bytesOf(connections, of, stretches);
  const pieces: LogPiece[] = [];
  for (const stretch of stretches) {
    if (stretch.why !== null)
      pieces.push({ kind: "gap", offset: stretch.from, length: stretch.to - stretch.from, why: stretch.why });
    else {
      const chunk = bytes.get(stretch.chunkAt);
      // Removed meanwhile.
      if (!chunk) break;
      pieces.push({
        kind: "bytes",
        offset: stretch.from,
        bytes: chunk.subarray(stretch.from - stretch.chunkAt, stretch.to - stretch.chunkAt),
      });
    }
  }
  return { pieces: joined(pieces), end };
}

async function stretchesOf(
  connections: Connections,
  of: readonly [string, string],
  reading: { readonly from: number; readonly end: number; readonly limit: number },
): Promise<Stretch[]> {
  const found: Stretch[] = [];
  let at = reading.from;
  let left = reading.limit;
  const text =
    "SELECT `offset`, `length`, `why` FROM `log_chunks` WHERE `attempt_id` = ? AND `stream` = ? AND `offset` >=" +
    " (SELECT COALESCE(MAX(`offset`), 0) FROM `log_chunks` WHERE `attempt_id` = ? AND `stream` = ? AND `offset` <= ?)" +
    ` ORDER BY \`offset\` LIMIT ${mariadbLimits.logChunkRows}`;
  while (at < reading.end && left > 0) {
    const rows = await connections.read(text, [...of, ...of, at]);
    const before = at;
    for (const row of rows) {
      const [chunkAt, length] = [Number(row[0]), Number(row[1])];
      const why = row[2] as string | null;
      // It may have grown since the end was read.
      const whole = Math.min(chunkAt + length, reading.end);
      const to = why === null ? Math.min(whole, at + left) : whole;
      if (to <= at) continue;
      found.push({ chunkAt, from: at, to, why });
      if (why === null) left -= to - at;
      at = to;
      if (to < whole || left <= 0) break;
    }
    // Nothing more to be had: it was removed meanwhile.
    if (at === before) break;
  }
  return found;
}

/** The bytes of the chunks that are needed, by their offset. */
async function bytesOf(
  connections: Connections,
  of: readonly [string, string],
  stretches: readonly Stretch[],
): Promise<Map<number, Buffer>> {
  const needed = stretches.filter((stretch) => stretch.why === null).map((stretch) => stretch.chunkAt);
  const [first = 0, last = 0] = [needed[0], needed.at(-1)];
  if (needed.length === 0) return new Map();
  const rows = await connections.read(
    "SELECT `offset`, `length`, `bytes` FROM `log_chunks`" +
      " WHERE `attempt_id` = ? AND `stream` = ? AND `offset` BETWEEN ? AND ? AND `bytes` IS NOT NULL",
    [...of, first, last],
  );
  const unpacked = rows.map(async (row): Promise<[number, Buffer]> => [
    Number(row[0]),
    await decompress(row[2] as Uint8Array, { maxOutputLength: Number(row[1]) }),
  ]);
  return new Map(await Promise.all(unpacked));
}

function joined(pieces: readonly LogPiece[]): LogPiece[] {
  const all: LogPiece[] = [];
  let run: { readonly offset: number; readonly parts: Uint8Array[] } | undefined;
  const close = (): void => {
    if (run)
      all.push({
        kind: "bytes",
        offset: run.offset,
        bytes: run.parts.length === 1 && run.parts[0] ? run.parts[0] : Buffer.concat(run.parts),
      });
    run = undefined;
  };
  for (const piece of pieces) {
    if (piece.kind === "bytes") {
      run ??= { offset: piece.offset, parts: [] };
      run.parts.push(piece.bytes);
    } else {
      close();
      all.push(piece);
    }
  }
  close();
  return all;
}
