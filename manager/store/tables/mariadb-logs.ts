/** The tables of the output of attempts, which MariaDB alone has: beside SQLite it lies in a folder. `../mariadb/logs.ts` uses them. */
import { bigint, customType, mysqlTable, primaryKey, varchar } from "drizzle-orm/mysql-core";
import { requestLimits } from "../../../schema/limits.ts";
import type { LogStream } from "../logstore.ts";

const attemptId = varchar("attempt_id", { length: requestLimits.idChars }).notNull();
const stream = varchar("stream", { length: 6 }).notNull().$type<LogStream>();
const number = (column: string) => bigint(column, { mode: "number" });
const blob = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => "longblob" });

/** One row for each stream. Whoever appends moves `end` on from where it was, so that no two managers write the same stretch. */
export const logStreams = mysqlTable(
  "log_streams",
  {
    attemptId,
    stream,
    /** Where the stream ends, counted in bytes that the process wrote. */
    end: number("end").notNull(),
    /** Bytes that are held. */
    kept: number("kept").notNull(),
    /** Chunks that are gaps. */
    gaps: number("gaps").notNull(),
    /** The offset of the last chunk. */
    last: number("last").notNull(),
  },
  (t) => [primaryKey({ columns: [t.attemptId, t.stream] })],
);

/** Stretches that follow each other without a hole. A gap has a `why` and no bytes; bytes are compressed (zstd). */
export const logChunks = mysqlTable(
  "log_chunks",
  {
    attemptId,
    stream,
    offset: number("offset").notNull(),
    /** Bytes of the stream that it stands for. */
    length: number("length").notNull(),
    why: varchar("why", { length: requestLimits.sentenceChars }),
    bytes: blob("bytes"),
  },
  (t) => [primaryKey({ columns: [t.attemptId, t.stream, t.offset] })],
);
