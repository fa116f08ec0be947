import { randomBytes } from "node:crypto";
import { isTerminal } from "../../schema/run.ts";
import type { Loaded, Need } from "../control/inputs.ts";
import type { LiveState, RunRecord } from "../control/records.ts";
import { attemptsOf, lastEvent, memoryReads } from "./memory-reads.ts";
import { applyAll, keyKey, memoryTables, versionKey, type MemoryTables } from "./memory-tables.ts";
import { memorySessions } from "./memory-sessions.ts";
import { runsNewestFirst } from "./read-runs.ts";
import { unendedStates } from "./states.ts";
import type { LeaseRow, Store } from "./store.ts";

/** What a memory store holds: an exploration opens the same one many times, each time with a copy of these. */
export interface MemoryHeld {
  readonly tables: MemoryTables;
  readonly leases: Map<string, LeaseRow>;
}

/**
 * A store that lives and dies with the process: for `memory:`, tests and the simulation. It behaves as the databases do,
 * and always the same way. Rows are kept as they are given; who gave them must not change them.
 */
export function openMemoryStore({ tables, leases }: MemoryHeld = { tables: memoryTables(), leases: new Map() }): Store {
  const bodies = new Map<string, Uint8Array>();
  const secrets = new Map<string, Uint8Array>();
  return {
    ...memoryReads(
      tables,
      () => [...leases.keys()].toSorted(),
      (pool) => leases.get(pool),
    ),
    ...memorySessions(),
    leaseIsLock: true,
    readLease: async (pool) => leases.get(pool) ?? null,
    takeLease: async (pool, holder, seen, aboveTerm) => {
      const now = leases.get(pool);
      if (now?.term !== seen?.term || now?.batch !== seen?.batch || now?.beat !== seen?.beat) return null;
      const taken = { pool, holder, term: Math.max(now?.term ?? 0, aboveTerm) + 1, batch: now?.batch ?? 0, beat: now?.beat ?? 0 };
      leases.set(pool, taken);
      return taken;
    },
    renewLease: async (pool, term) => leases.get(pool)?.term === term,
    releaseLease: async (pool, term) => {
      const lease = leases.get(pool);
      if (lease?.term === term) leases.set(pool, { ...lease, holder: "" });
    },
    loadLive: async (pool) => loadLive(tables, pool),
    load: async (pool, needs) => needs.map((need) => loadNeed(tables, pool, need)),
    commit: async (batch) => {
      const lease = leases.get(batch.pool);
      if (!lease || lease.term !== batch.term || lease.batch !== batch.batch - 1) return "deposed";
      applyAll(tables, batch.changes);
      leases.set(batch.pool, { ...lease, batch: batch.batch });
      return "applied";
    },
    putBody: async (sha256, bytes) => {
      if (!bodies.has(sha256)) bodies.set(sha256, Uint8Array.from(bytes));
    },
    getBody: async (sha256) => bodies.get(sha256) ?? null,
    secret: async (name) => {
      const value = secrets.get(name) ?? randomBytes(32);
      secrets.set(name, value);
      return value;
    },
    check: async () => [
      { name: "durability", ok: true, sentence: "The store is in memory, as it was asked for: it ends with the manager." },
    ],
    [Symbol.asyncDispose]: async () => {},
  };
}

function loadNeed(tables: MemoryTables, pool: string, need: Need): Loaded {
  switch (need.need) {
    case "task":
      return { ...need, found: tables.tasks.get(need.id) ?? null };
    case "taskByName":
      return { ...need, found: tables.tasks.get(tables.names.get(`${need.pool}/${need.name}`) ?? "") ?? null };
    case "version":
      return { ...need, found: tables.versions.get(versionKey(need.taskId, need.version)) ?? null };
    case "run": {
      const run = tables.runs.get(need.id);
      return { ...need, found: run ? { run, attempts: attemptsOf(tables, need.id) } : null };
    }
    case "key":
      return { ...need, found: tables.keys.get(keyKey(need.taskId, need.key)) ?? null };
    case "liveRunsOfTask": {
      const found = liveRuns(tables)
        .filter((run) => run.taskId === need.taskId)
        .toSorted((a, b) => unendedStates.indexOf(a.state) - unendedStates.indexOf(b.state) || runsNewestFirst(b, a))
        .slice(0, need.limit)
        .map((run) => run.id);
      return { need: "liveRunsOfTask", taskId: need.taskId, found };
    }
    case "queuePage": {
      const found = liveRuns(tables)
        .filter((run) => run.pool === pool && run.state === "queued" && run.order > need.after)
        .toSorted((a, b) => a.order - b.order)
        .slice(0, need.limit);
      return { need: "queuePage", after: need.after, found };
    }
    case "poolOfWorker":
      return { ...need, found: tables.workers.get(need.id)?.pool ?? null };
    case "attempts":
      return { need: "attempts", found: need.ids.flatMap((id) => tables.attempts.get(id) ?? []) };
  }
}

function liveRuns(tables: MemoryTables): RunRecord[] {
  return [...tables.liveRuns].flatMap((id) => tables.runs.get(id) ?? []);
}

function loadLive(tables: MemoryTables, pool: string): LiveState {
  const workers = [...tables.workers.values()]
    .filter((worker) => worker.pool === pool)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const live = liveRuns(tables).filter((run) => run.pool === pool);
  const held = live.filter((run) => run.state !== "queued").toSorted((a, b) => a.order - b.order);
  const ended = (runId: string): boolean => isTerminal(tables.runs.get(runId)?.state ?? "queued");
  return {
    workers,
    journals: workers.flatMap((worker) =>
      [...tables.journals.values()]
        .filter((row) => row.workerId === worker.id)
        .toSorted((a, b) => (a.journal < b.journal ? -1 : 1)),
    ),
    runs: held.map((run) => ({ run, attempts: attemptsOf(tables, run.id) })),
    queued: live.length - held.length,
    orphans: [...tables.attempts.values()]
      .filter((attempt) => attempt.pool === pool && attempt.state !== "ended" && ended(attempt.runId))
      .toSorted((a, b) => a.sentAt - b.sentAt || (a.id < b.id ? -1 : 1)),
    lastEvent: lastEvent(tables, pool),
    hold: tables.holds.get(pool) ?? null,
  };
}
