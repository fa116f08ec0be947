/** The leader's verbs on SQLite. The open store holds the folder's lock, so its lease is nobody else's (rule 18). */
import type { Loaded, Need } from "../../control/inputs.ts";
import type { AttemptRecord, LiveState, RunRecord } from "../../control/records.ts";
import { statementsOf, type DialectTexts } from "../changes-sql.ts";
import type { Codecs } from "../codecs.ts";
import { lastNumberOf, newestEventRow, withEventRows, type StoredChange } from "../event-rows.ts";
import { storeErrorOf } from "./errors.ts";
import type { SqliteFile } from "./file.ts";
import { heldStates, terminalStates, unendedStates } from "../states.ts";
import { StoreError, type Batch, type CommitResult, type LeaderStore, type LeaseRow } from "../store.ts";

/** SQLite has no `DELETE … LIMIT` as Node builds it. */
const texts: DialectTexts = {
  deleteKeys:
    "DELETE FROM `idempotency_keys` WHERE (`task_id`, `idempotency_key`) IN " +
    "(SELECT `task_id`, `idempotency_key` FROM `idempotency_keys` WHERE `at` < ? ORDER BY `at` LIMIT ?)",
};

/** Rule 17's compare and set: without a changed row this is not our term, or this batch was applied before. */
const advanceBatch = "UPDATE `leases` SET `batch` = ? WHERE `pool` = ? AND `term` = ? AND `batch` = ? - 1";

/** Makes the verbs. Every error leaves as `storeErrorOf` has it. */
export function sqliteLeader(file: SqliteFile, codecs: Codecs): LeaderStore {
  const guard = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeErrorOf(error);
    }
  };
  const readLease = (pool: string): LeaseRow | null => {
    const row = file.get(`${codecs.lease.select} WHERE \`pool\` = ?`, [pool]);
    return row ? codecs.lease.decode(row) : null;
  };
  return {
    leaseIsLock: true,
    readLease: (pool) => guard(() => readLease(pool)),
    takeLease: (pool, holder, seen, aboveTerm) =>
      guard(
        () => file.transaction(() => takeLease(file, codecs, { pool, holder, aboveTerm, seen, now: readLease(pool) })) ?? null,
      ),
    renewLease: (pool, term) => guard(() => readLease(pool)?.term === term),
    releaseLease: (pool, term) =>
      guard(() => void file.run("UPDATE `leases` SET `holder` = '' WHERE `pool` = ? AND `term` = ?", [pool, term])),
    commit: (batch) => guard((): CommitResult => commit(file, codecs, batch)),
    load: (pool, needs) => guard(() => needs.map((need) => loadNeed(file, codecs, pool, need))),
    loadLive: (pool) => guard(() => loadLive(file, codecs, pool)),
  };
}

interface Taking {
  readonly pool: string;
  readonly holder: string;
  readonly aboveTerm: number;
  readonly seen: LeaseRow | null;
  readonly now: LeaseRow | null;
}

function takeLease(file: SqliteFile, codecs: Codecs, taking: Taking): LeaseRow | undefined {
  const { pool, holder, seen, now } = taking;
  if (now?.term !== seen?.term || now?.batch !== seen?.batch || now?.beat !== seen?.beat) return undefined;
  const term = Math.max(now?.term ?? 0, taking.aboveTerm) + 1;
  const taken: LeaseRow = now ? { ...now, holder, term } : { pool, holder, term, batch: 0, beat: 0 };
  if (!now) file.run(codecs.lease.insert, codecs.lease.encode(taken));
  else file.run("UPDATE `leases` SET `holder` = ?, `term` = ? WHERE `pool` = ? AND `term` = ?", [holder, term, pool, now.term]);
  return taken;
}

function commit(file: SqliteFile, codecs: Codecs, batch: Batch): CommitResult {
  const applied = file.transaction(() => {
    if (file.run(advanceBatch, [batch.batch, batch.pool, batch.term, batch.batch]) !== 1) return undefined;
    for (const change of withEventRows(batch.changes)) write(file, codecs, change);
    return true;
  });
  return applied ? "applied" : "deposed";
}

/** What every run has several of goes the short way. */
function write(file: SqliteFile, codecs: Codecs, change: StoredChange): void {
  if (change.op === "insertEventRow") {
    file.run(codecs.event.insert, codecs.event.encode(change.row));
    return;
  }
  if (change.op === "insertAttempt") {
    file.run(codecs.attempt.insert, codecs.attempt.encode(change.row));
    return;
  }
  for (const statement of statementsOf(change, codecs, texts)) {
    const changed = file.run(statement.text, statement.values);
    if (statement.must && changed !== 1) throw new StoreError("permanent", true, statement.must);
  }
}

function loadNeed(file: SqliteFile, codecs: Codecs, pool: string, need: Need): Loaded {
  switch (need.need) {
    case "task": {
      const row = file.get(`${codecs.task.select} WHERE \`id\` = ?`, [need.id]);
      return { ...need, found: row ? codecs.task.decode(row) : null };
    }
    case "taskByName": {
      const row = file.get(`${codecs.task.select} WHERE \`pool\` = ? AND \`live_name\` = ?`, [need.pool, need.name]);
      return { ...need, found: row ? codecs.task.decode(row) : null };
    }
    case "version": {
      const row = file.get(`${codecs.version.select} WHERE \`task_id\` = ? AND \`version\` = ?`, [need.taskId, need.version]);
      return { ...need, found: row ? codecs.version.decode(row) : null };
    }
    case "run": {
      const row = file.get(`${codecs.run.select} WHERE \`id\` = ?`, [need.id]);
      return { ...need, found: row ? { run: codecs.run.decode(row), attempts: attemptsOf(file, codecs, need.id) } : null };
    }
    case "key": {
      const row = file.get(`${codecs.key.select} WHERE \`task_id\` = ? AND \`idempotency_key\` = ?`, [need.taskId, need.key]);
      return { ...need, found: row ? codecs.key.decode(row) : null };
    }
    case "liveRunsOfTask":
      return { need: "liveRunsOfTask", taskId: need.taskId, found: liveRunsOfTask(file, need.taskId, need.limit) };
    case "queuePage": {
      const text = `${codecs.run.select} WHERE \`pool\` = ? AND \`state\` = 'queued' AND \`run_order\` > ? ORDER BY \`run_order\` LIMIT ?`;
      return {
        need: "queuePage",
        after: need.after,
        found: file.all(text, [pool, need.after, need.limit]).map(codecs.run.decode),
      };
    }
    case "poolOfWorker": {
      const row = file.get("SELECT `pool` FROM `workers` WHERE `id` = ?", [need.id]);
      return { ...need, found: (row?.[0] as string | undefined) ?? null };
    }
    case "attempts": {
      const rows = need.ids.map((id) => file.get(`${codecs.attempt.select} WHERE \`id\` = ?`, [id]));
      return { need: "attempts", found: rows.flatMap((row) => (row ? [codecs.attempt.decode(row)] : [])) };
    }
  }
}

function liveRunsOfTask(file: SqliteFile, taskId: string, limit: number): string[] {
  const found: string[] = [];
  for (const state of unendedStates) {
    const text = "SELECT `id` FROM `runs` WHERE `task_id` = ? AND `state` = ? ORDER BY `created_at`, `run_order`, `pool` LIMIT ?";
    for (const row of file.all(text, [taskId, state, limit - found.length])) found.push(row[0] as string);
  }
  return found;
}

function attemptsOf(file: SqliteFile, codecs: Codecs, runId: string): AttemptRecord[] {
  return file.all(`${codecs.attempt.select} WHERE \`run_id\` = ? ORDER BY \`number\``, [runId]).map(codecs.attempt.decode);
}

function loadLive(file: SqliteFile, codecs: Codecs, pool: string): LiveState {
  const workers = file.all(`${codecs.worker.select} WHERE \`pool\` = ? ORDER BY \`id\``, [pool]).map(codecs.worker.decode);
  const journals = file
    .all(
      `SELECT ${codecs.journal.columns("j")} FROM \`workers\` w CROSS JOIN \`journals\` j ON j.\`worker_id\` = w.\`id\` WHERE w.\`pool\` = ?`,
      [pool],
    )
    .map(codecs.journal.decode)
    .toSorted((a, b) => (a.workerId === b.workerId ? (a.journal < b.journal ? -1 : 1) : a.workerId < b.workerId ? -1 : 1));
  const runs = heldStates
    .flatMap((state) => file.all(`${codecs.run.select} WHERE \`pool\` = ? AND \`state\` = ?`, [pool, state]))
    .map(codecs.run.decode)
    .toSorted((a: RunRecord, b: RunRecord) => a.order - b.order)
    .map((run) => ({ run, attempts: attemptsOf(file, codecs, run.id) }));
  // CROSS JOIN keeps SQLite from beginning with the runs, of which there are millions.
  const orphans = file
    .all(
      `SELECT ${codecs.attempt.columns("a")} FROM \`attempts\` a CROSS JOIN \`runs\` r ON r.\`id\` = a.\`run_id\`` +
        ` WHERE a.\`pool\` = ? AND a.\`state\` <> 'ended' AND r.\`state\` IN (${terminalStates.map(() => "?").join(", ")})`,
      [pool, ...terminalStates],
    )
    .map(codecs.attempt.decode)
    .toSorted((a, b) => a.sentAt - b.sentAt || (a.id < b.id ? -1 : 1));
  const number = (text: string): number => Number(file.get(text, [pool])?.[0] ?? 0);
  const hold = file.get(`${codecs.hold.select} WHERE \`pool\` = ?`, [pool]);
  return {
    workers,
    journals,
    runs,
    queued: number("SELECT COUNT(*) FROM `runs` WHERE `pool` = ? AND `state` = 'queued'"),
    orphans,
    lastEvent: lastNumberOf(file.get(newestEventRow, [pool])),
    hold: hold ? codecs.hold.decode(hold) : null,
  };
}
