/**
 * Output of attempts in two tables, for any number of managers: `log_streams` says where each stream ends, `log_chunks` holds
 * what follows what. Whoever appends moves the end on from where it found it, in the same transaction as the chunks; who comes
 * second changes no row and looks again.
 */
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { id } from "../../../schema/ids.ts";
import { workerLimits } from "../../../schema/limits.ts";
import { storeLimits } from "../../../schema/limits/store.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import { remainder } from "../gaps.ts";
import type { LogPiece, LogStore, LogStream } from "../logstore.ts";
import type { Value } from "../rows.ts";
import { StoreError } from "../store.ts";
import { Turns } from "../turns.ts";
import type { Connections, Session } from "./connection.ts";
import { readLog } from "./log-read.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export interface MariadbLogsOptions {
  /** Bytes of one stream that are kept; what comes after becomes a gap and is acknowledged all the same. */
  readonly streamBytes?: number;
}

/** The stream as an append finds it; `last` is its last chunk. */
interface Tail {
  readonly end: number;
  readonly kept: number;
  readonly gaps: number;
  readonly last: Chunk | null;
}

interface Chunk {
  readonly offset: number;
  readonly length: number;
  /** A gap's reason; null: bytes. */
  readonly why: string | null;
  /** Compressed; null where nobody needs them. */
  readonly packed: Uint8Array | null;
}

/** What an append makes of a tail: the end's row, and the chunks that are written (those at a known offset anew). */
interface Appended {
  readonly end: number;
  readonly kept: number;
  readonly gaps: number;
  readonly chunks: readonly Chunk[];
}

/** Opens the log store over connections that the caller keeps open. */
export function openMariadbLogs(connections: Connections, options: MariadbLogsOptions = {}): LogStore {
  const streamBytes = options.streamBytes ?? workerLimits.logStreamBytes;
  const turns = new Turns();
  return {
    append: (attemptId, stream, piece) =>
      turns.take(`${attemptId}/${stream}`, () => append(connections, checked(attemptId), stream, piece, streamBytes)),
    read: (attemptId, stream, from, limit) => readLog(connections, checked(attemptId), stream, from, limit),
    remove: (attemptId) => remove(connections, checked(attemptId)),
  };
}

function checked(attemptId: string): string {
  if (id.safeParse(attemptId).success) return attemptId;
  throw new StoreError("permanent", true, `${JSON.stringify(attemptId.slice(0, 100))} is no attempt id.`);
}

async function append(
  connections: Connections,
  attemptId: string,
  stream: LogStream,
  piece: LogPiece,
  streamBytes: number,
): Promise<number> {
  for (let tries = 0; tries < mariadbLimits.logAppendTries; tries += 1) {
    const end = await connections.output(async (session) => {
      const tail = await tailOf(session, attemptId, stream);
      const rest = remainder(piece, tail?.end ?? 0);
      if (!rest) return tail?.end ?? 0;
      const appended = await appendedTo(tail ?? { end: 0, kept: 0, gaps: 0, last: null }, rest, streamBytes);
      return (await write(session, { attemptId, stream }, tail, appended)) ? appended.end : null;
    });
    if (end !== null) return end;
  }
  throw new StoreError("transient", true, `Others append to ${stream} of attempt ${attemptId} all the time.`);
}

async function tailOf(session: Session, attemptId: string, stream: LogStream): Promise<Tail | null> {
  // A large last chunk is complete: nothing is joined to it, so its bytes stay where they are.
  const text =
    "SELECT s.`end`, s.`kept`, s.`gaps`, c.`offset`, c.`length`, c.`why`, IF(c.`length` < ?, c.`bytes`, NULL)" +
    " FROM `log_streams` s JOIN `log_chunks` c ON c.`attempt_id` = s.`attempt_id` AND c.`stream` = s.`stream` AND c.`offset` = s.`last`" +
    " WHERE s.`attempt_id` = ? AND s.`stream` = ?";
  const [row] = (await session.query(text, [mariadbLimits.logJoinBytes, attemptId, stream])).rows;
  if (!row) return null;
  const [end, kept, gaps, offset, length] = row.slice(0, 5).map(Number) as [number, number, number, number, number];
  return { end, kept, gaps, last: { offset, length, why: row[5] as string | null, packed: row[6] as Uint8Array | null } };
}

async function appendedTo(tail: Tail, rest: LogPiece, streamBytes: number): Promise<Appended> {
  if (rest.kind === "gap") return withGap(tail, [], rest);
  const why = tail.gaps >= storeLimits.logGaps ? (tail.last?.why ?? null) : null;
  // At the bound they become part of the gap before them, or a stream of a byte, a gap, a byte and so on would cost without end.
  if (why !== null) return withGap(tail, [], { length: rest.bytes.length, why });
  const room = Math.max(0, streamBytes - tail.kept);
  const bytes = rest.bytes.subarray(0, room);
  const chunks = bytes.length === 0 ? [] : await chunksOf(tail, bytes);
  const grown = {
    end: tail.end + bytes.length,
    kept: tail.kept + bytes.length,
    gaps: tail.gaps,
    last: chunks.at(-1) ?? tail.last,
  };
  if (bytes.length === rest.bytes.length) return { ...grown, chunks };
  const beyond = `only the first ${streamBytes} bytes of a stream are kept`;
  return withGap(grown, chunks, { length: rest.bytes.length - bytes.length, why: beyond });
}

/** One gap goes on for the same reason; at the bound one reason speaks for all, as a stream must not cost without end. */
function withGap(tail: Tail, before: readonly Chunk[], gap: { readonly length: number; readonly why: string }): Appended {
  const { last } = tail;
  const end = tail.end + gap.length;
  const joins = last !== null && last.why !== null && (last.why === gap.why || tail.gaps >= storeLimits.logGaps);
  if (joins) return { ...tail, end, chunks: [...before, { ...last, length: last.length + gap.length }] };
  const chunk = { offset: tail.end, length: gap.length, why: gap.why, packed: null };
  return { end, kept: tail.kept, gaps: tail.gaps + 1, chunks: [...before, chunk] };
}

async function chunksOf(tail: Tail, bytes: Uint8Array): Promise<Chunk[]> {
  const { last } = tail;
  const joined = last !== null && last.why === null && last.packed !== null;
  const whole = joined ? Buffer.concat([await decompress(last.packed, { maxOutputLength: last.length }), bytes]) : bytes;
  const from = joined ? last.offset : tail.end;
  const chunks: Chunk[] = [];
  for (let at = 0; at < whole.length; at += mariadbLimits.logChunkBytes) {
    const part = whole.subarray(at, at + mariadbLimits.logChunkBytes);
    chunks.push({ offset: from + at, length: part.length, why: null, packed: await compress(part) });
  }
  return chunks;
}

/** True: durable. False: somebody else was first, and nothing was written. */
async function write(
  session: Session,
  of: { readonly attemptId: string; readonly stream: LogStream },
  tail: Tail | null,
  appended: Appended,
): Promise<boolean> {
  const { attemptId, stream } = of;
  const { end, kept, gaps, chunks } = appended;
  const last = chunks.at(-1)?.offset ?? 0;
  const values: Value[] = [];
  const statements: string[] = [];
  const add = (text: string, ...given: Value[]): void => {
    statements.push(text);
    values.push(...given);
  };
  if (tail === null) add("INSERT INTO `log_streams` VALUES (?, ?, ?, ?, ?, ?)", attemptId, stream, end, kept, gaps, last);
  else {
    add(
      "UPDATE `log_streams` SET `end` = ?, `kept` = ?, `gaps` = ?, `last` = ? WHERE `attempt_id` = ? AND `stream` = ? AND `end` = ?",
      end,
      kept,
      gaps,
      last,
      attemptId,
      stream,
      tail.end,
    );
    add(
      `IF ROW_COUNT() = 0 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = ${movedOn}, MESSAGE_TEXT = 'The stream moved on.'; END IF`,
    );
  }
  for (const chunk of chunks) {
    if (chunk.offset === tail?.last?.offset) {
      add(
        "UPDATE `log_chunks` SET `length` = ?, `bytes` = ? WHERE `attempt_id` = ? AND `stream` = ? AND `offset` = ?",
        chunk.length,
        chunk.packed,
        attemptId,
        stream,
        chunk.offset,
      );
    } else
      add(
        "INSERT INTO `log_chunks` VALUES (?, ?, ?, ?, ?, ?)",
        attemptId,
        stream,
        chunk.offset,
        chunk.length,
        chunk.why,
        chunk.packed,
      );
  }
  const block = `BEGIN NOT ATOMIC DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; START TRANSACTION; ${statements.join("; ")}; COMMIT; END`;
  try {
    await session.query(block, values);
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}

/** What the block raises when the stream's end is not where it was. 1062, 1213: two managers began the stream at once. */
const movedOn = 30_010;
const conflicts: ReadonlySet<unknown> = new Set([movedOn, 1062, 1213]);

function isConflict(error: unknown): boolean {
  const cause = error instanceof StoreError ? error.cause : error;
  return conflicts.has((cause as { readonly errno?: unknown } | undefined)?.errno);
}

/** Chunks first: while some are left, the stream's row keeps its end. */
async function remove(connections: Connections, attemptId: string): Promise<void> {
  const some = `DELETE FROM \`log_chunks\` WHERE \`attempt_id\` = ? LIMIT ${mariadbLimits.logChunkRows}`;
  await connections.output(async (session) => {
    while ((await session.query(some, [attemptId])).matched > 0);
    await session.query("DELETE FROM `log_streams` WHERE `attempt_id` = ?", [attemptId]);
  });
}
