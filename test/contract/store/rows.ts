/** Rows with everything filled in, for tests to vary. */
import type { Change } from "../../../manager/control/changes.ts";
import type {
  AttemptRecord,
  EventRecord,
  KeyRecord,
  RunRecord,
  SetAsideRecord,
  TaskRecord,
  TaskVersionRecord,
  WorkerRecord,
} from "../../../manager/control/records.ts";
import type { CommitResult, Store } from "../../../manager/store/store.ts";
import { taskInput } from "../../../schema/task.ts";

export const pool = "default";

export function task(set: Partial<TaskRecord> = {}): TaskRecord {
  return {
    id: "t1",
    pool,
    createdAt: 1_000,
    name: "nightly",
    version: 1,
    labels: { team: "search" },
    kind: "batch",
    updatedAt: 1_000,
    deleted: false,
    ...set,
  };
}

export function version(set: Partial<TaskVersionRecord> = {}): TaskVersionRecord {
  const definition = taskInput.parse({ name: "nightly", run: { driver: "exec", program: "/bin/true" } });
  return {
    taskId: "t1",
    version: 1,
    definition,
    body: null,
    script: null,
    createdAt: 1_000,
    by: "admin",
    byReason: null,
    ...set,
  };
}

export function run(set: Partial<RunRecord> = {}): RunRecord {
  return {
    id: "r1",
    pool,
    taskId: "t1",
    taskVersion: 1,
    taskName: "nightly",
    order: 1,
    params: { city: "Brno" },
    labels: {},
    wantedWorkerId: null,
    createdAt: 1_000,
    by: "admin",
    byReason: null,
    rerunOf: null,
    trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    state: "queued",
    workerId: null,
    startedAt: null,
    endedAt: null,
    end: null,
    placements: 0,
    tries: 0,
    stop: null,
    result: null,
    resultBody: null,
    progress: null,
    ...set,
  };
}

export function attempt(set: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    id: "a1",
    runId: "r1",
    taskId: "t1",
    pool,
    number: 1,
    workerId: "w1",
    epoch: "journal00001.1.nonce0000001",
    sentAt: 2_000,
    state: "sent",
    startedAt: null,
    endedAt: null,
    pid: null,
    end: null,
    ...set,
  };
}

export function worker(set: Partial<WorkerRecord> = {}): WorkerRecord {
  return {
    id: "w1",
    pool,
    createdAt: 500,
    epoch: null,
    connection: 0,
    facts: null,
    ownLabels: {},
    apiLabels: {},
    capacity: null,
    draining: false,
    survives: null,
    http: null,
    state: "neverSeen",
    stateSince: 500,
    lastSeenAt: null,
    ...set,
  };
}

export function event(set: Partial<EventRecord> = {}): EventRecord {
  return {
    pool,
    number: 1,
    at: 1_000,
    kind: "runQueued",
    taskId: null,
    runId: null,
    attemptId: null,
    workerId: null,
    by: null,
    data: {},
    ...set,
  };
}

export function key(set: Partial<KeyRecord> = {}): KeyRecord {
  return { taskId: "t1", key: "k1", bodyHash: "0".repeat(64), runId: "r1", at: 1_000, ...set };
}

export function setAside(set: Partial<SetAsideRecord> = {}): SetAsideRecord {
  return { id: "s1", pool, at: 1_000, source: "reports of w1", why: "not JSON", raw: "{", ...set };
}

/** A leader of one pool, as the engine is one: it counts the batches. */
export interface Leader {
  readonly term: number;
  /** Commits the next batch; throws what the store throws, and then the number is used again. */
  commit(...changes: Change[]): Promise<CommitResult>;
}

export async function lead(store: Store, ofPool = pool): Promise<Leader> {
  const lease = await store.takeLease(ofPool, "test", await store.readLease(ofPool), 0);
  if (!lease) throw new Error("the lease was not given");
  let { batch } = lease;
  return {
    term: lease.term,
    commit: async (...changes) => {
      const result = await store.commit({ pool: ofPool, term: lease.term, batch: batch + 1, changes });
      if (result === "applied") batch += 1;
      return result;
    },
  };
}
