import type {
  AttemptRecord,
  EventRecord,
  HoldRecord,
  JournalRecord,
  KeyRecord,
  RunRecord,
  SetAsideRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "./records.ts";

/** Fields of a row that an update may set; the others never change after the insert. */
export type TaskUpdate = Partial<Pick<TaskRecord, "name" | "version" | "labels" | "updatedAt" | "deleted">>;
export type RunUpdate = Partial<
  Pick<
    RunRecord,
    | "state"
    | "workerId"
    | "startedAt"
    | "endedAt"
    | "end"
    | "placements"
    | "tries"
    | "stop"
    | "result"
    | "resultBody"
    | "progress"
  >
>;
export type AttemptUpdate = Partial<Pick<AttemptRecord, "state" | "startedAt" | "endedAt" | "pid" | "end">>;
export type HoldUpdate = Partial<Pick<HoldRecord, "since" | "by" | "byReason" | "why" | "short" | "letGo">>;
export type WorkerUpdate = Partial<Omit<WorkerRecord, "id" | "pool" | "createdAt">>;

/**
 * One change of the store: plain inserts, and updates by primary key (rule 21). A commit is a list of these in order; the
 * core folds several updates of one row in one batch into one.
 */
export type Change =
  | { readonly op: "insertTask"; readonly row: TaskRecord }
  | { readonly op: "updateTask"; readonly id: string; readonly set: TaskUpdate }
  | { readonly op: "insertVersion"; readonly row: TaskVersionRecord }
  | { readonly op: "insertRun"; readonly row: RunRecord }
  | { readonly op: "updateRun"; readonly id: string; readonly set: RunUpdate }
  | { readonly op: "insertAttempt"; readonly row: AttemptRecord }
  | { readonly op: "updateAttempt"; readonly id: string; readonly set: AttemptUpdate }
  | { readonly op: "insertWorker"; readonly row: WorkerRecord }
  | { readonly op: "updateWorker"; readonly id: string; readonly set: WorkerUpdate }
  | { readonly op: "insertJournal"; readonly row: JournalRecord }
  | { readonly op: "updateJournal"; readonly workerId: string; readonly journal: string; readonly applied: number }
  | { readonly op: "insertEvent"; readonly row: EventRecord }
  | { readonly op: "insertKey"; readonly row: KeyRecord }
  /** Forgets keys older than `before` (wall ms); at most a thousand in one commit. */
  | { readonly op: "deleteKeys"; readonly before: number }
  | { readonly op: "insertSetAside"; readonly row: SetAsideRecord }
  | { readonly op: "insertHold"; readonly row: HoldRecord }
  | { readonly op: "updateHold"; readonly pool: string; readonly set: HoldUpdate }
  | { readonly op: "deleteHold"; readonly pool: string };
