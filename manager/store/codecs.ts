import type { Table } from "drizzle-orm";
import type {
  AttemptRecord,
  HoldRecord,
  JournalRecord,
  KeyRecord,
  RunRecord,
  SetAsideRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "../control/records.ts";
import type { EventRow } from "./event-rows.ts";
import { rowCodec, type RowCodec } from "./rows.ts";
import type { LeaseRow } from "./store.ts";

/** The tables that hold records, in either dialect. */
export interface RecordTables {
  readonly leases: Table;
  readonly tasks: Table;
  readonly taskVersions: Table;
  readonly runs: Table;
  readonly attempts: Table;
  readonly workers: Table;
  readonly journals: Table;
  readonly events: Table;
  readonly keys: Table;
  readonly setAside: Table;
  readonly holds: Table;
}

/** One codec for each kind of record. */
export interface Codecs {
  readonly lease: RowCodec<LeaseRow>;
  readonly task: RowCodec<TaskRecord>;
  readonly version: RowCodec<TaskVersionRecord>;
  readonly run: RowCodec<RunRecord>;
  readonly attempt: RowCodec<AttemptRecord>;
  readonly worker: RowCodec<WorkerRecord>;
  readonly journal: RowCodec<JournalRecord>;
  readonly event: RowCodec<EventRow>;
  readonly key: RowCodec<KeyRecord>;
  readonly setAside: RowCodec<SetAsideRecord>;
  readonly hold: RowCodec<HoldRecord>;
}

export function codecsOf(tables: RecordTables): Codecs {
  return {
    lease: rowCodec(tables.leases),
    task: rowCodec(tables.tasks),
    version: rowCodec(tables.taskVersions),
    run: rowCodec(tables.runs),
    attempt: rowCodec(tables.attempts),
    worker: rowCodec(tables.workers),
    journal: rowCodec(tables.journals),
    event: rowCodec(tables.events),
    key: rowCodec(tables.keys),
    setAside: rowCodec(tables.setAside),
    hold: rowCodec(tables.holds),
  };
}
