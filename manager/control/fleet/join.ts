import { makeView } from "../queue/capacity.ts";
import type { WorkerRecord } from "../records.ts";
import type { ControlState, WorkerCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";

/** A worker in memory. `heardMono`: when this leader began to listen (rule 18). */
export function makeWorker(state: ControlState, row: WorkerRecord, heardMono: number): WorkerCell {
  return {
    row,
    view: makeView(row),
    attempts: new Map(),
    used: { slots: 0, memoryMb: 0, cpus: 0 },
    heardMono,
    heardWall: null,
    clockAhead: null,
    mono: null,
    synced: false,
    told: false,
    goneConnection: 0,
    beatMs: state.settings.heartbeatMs,
    spokenMono: Number.NEGATIVE_INFINITY,
    inventory: null,
    askedMono: Number.NEGATIVE_INFINITY,
    askDelayMs: 0,
    digestMisses: 0,
    changedSinceBeat: true,
    digest: null,
    refusals: 0,
    restMono: null,
    restWhy: null,
    lastEndMono: Number.NEGATIVE_INFINITY,
    endIntervalMs: 1_000,
    refusedEpoch: null,
    found: new Set(),
    dueMono: null,
    releaseMono: null,
  };
}

/** A worker that was never heard before. */
export function insertWorker(turn: Turn, id: string): WorkerCell {
  const { state, now } = turn;
  const row: WorkerRecord = {
    id,
    pool: state.options.pool,
    createdAt: now.wall,
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
    stateSince: now.wall,
    lastSeenAt: null,
  };
  turn.changes.push({ op: "insertWorker", row });
  const worker = makeWorker(state, row, now.mono);
  state.workers.set(id, worker);
  emit(turn, "workerJoined", { workerId: id });
  return worker;
}
