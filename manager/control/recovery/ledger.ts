/** What a worker ended, and was acknowledged, while the database that knew of it was lost (rule 28). */
import { parseEpoch } from "../../../schema/ids.ts";
import type { Hello, InventoryItem } from "../../../schema/messages.ts";
import { isTerminal } from "../../../schema/run.ts";
import { raiseAlarm } from "../alarms.ts";
import { keepAttempt, makeAttempt } from "../runs/attempts.ts";
import { recall } from "../cache.ts";
import { take } from "../queue/capacity.ts";
import { aboutAttempt, endAttempt, resultLost } from "../runs/ends.ts";
import { holdForLostHistory, noteShortLedger } from "./hold.ts";
import type { AttemptRecord } from "../records.ts";
import { dequeue } from "../queue/queue.ts";
import { instant } from "../runs/reports.ts";
import { inMemory, updateRun } from "../runs/runs.ts";
import { knownRun } from "../requests/starts.ts";
import {
  appliedSeq,
  journalKey,
  versionKey,
  type AttemptCell,
  type ControlState,
  type RunCell,
  type WorkerCell,
} from "../state.ts";
import { emit, send, type Turn } from "../turn.ts";

/** How far a hello, with the ledger that it may carry, brings us. */
export interface Heard {
  /** It leaves nothing out that was acknowledged: what it does not list is not there. */
  readonly whole: boolean;
  /** Every end up to this seq is in the database, or in this inventory. */
  readonly upTo: number;
}

/** Changes nothing. Up to what we applied the database knows the worker's ends; above it, only its ledger does. */
export function heardOf(state: ControlState, worker: WorkerCell, message: Hello): Heard {
  const applied = appliedOf(state, worker, message);
  const acked = Math.max(message.firstUnackedSeq - 1, 0);
  if (acked <= applied) return { whole: true, upTo: applied };
  const { ledger } = message;
  if (!ledger || ledger.above > applied) return { whole: false, upTo: applied };
  const upTo = Math.max(applied, Math.min(acked, ledger.upTo));
  return { whole: upTo === acked, upTo };
}

function appliedOf(state: ControlState, worker: WorkerCell, message: Hello): number {
  return appliedSeq(state, worker.row.id, parseEpoch(message.epoch).journal);
}

/** Where its reports go on. More acknowledged than was ever applied: history was lost; the rest of its ledger is asked for. */
export function followJournal(turn: Turn, worker: WorkerCell, message: Hello, heard: Heard): void {
  const { state } = turn;
  const { journal } = parseEpoch(message.epoch);
  const key = journalKey(worker.row.id, journal);
  const known = state.journals.has(key);
  const applied = appliedOf(state, worker, message);
  const acked = Math.max(message.firstUnackedSeq - 1, 0);
  if (acked > applied) {
    const sentence = `worker ${worker.row.id} was acknowledged reports up to ${acked}, the database has them up to ${applied}: it may be a restored backup`;
    raiseAlarm(turn, "historyLost", worker.row.id, sentence);
    holdForLostHistory(turn, sentence);
    if ((message.ledger?.forgotten ?? 0) > applied) noteShortLedger(turn);
  }
  if (!known) turn.changes.push({ op: "insertJournal", row: { workerId: worker.row.id, journal, applied: heard.upTo } });
  else if (heard.upTo > applied)
    turn.changes.push({ op: "updateJournal", workerId: worker.row.id, journal, applied: heard.upTo });
  state.journals.set(key, heard.upTo);
  if (heard.upTo > applied) emit(turn, "gap", { workerId: worker.row.id, data: { journal, from: applied + 1, to: heard.upTo } });
  worker.told ||= heard.whole;
  if (!heard.whole) send(turn, worker, { kind: "ask", ledger: { journal, above: heard.upTo } });
}

/**
 * An attempt that nobody here knows, of a run that this leader took over and that has not ended: it was made in the time that
 * is lost, so it is the run's newest. Undefined: it is none of that (rule 14).
 */
export function adoptLost(turn: Turn, worker: WorkerCell, message: Hello, item: InventoryItem): AttemptCell | undefined {
  const { state, now } = turn;
  const row = knownRun(state, item.run);
  if (!row || row.pool !== state.options.pool || isTerminal(row.state) || row.order > state.tookOverOrder) return undefined;
  if (row.stop !== null || item.end?.how === "refused") return undefined;
  holdForLostHistory(turn, `worker ${worker.row.id} has an attempt of run ${row.id} that the database does not know`);
  const run = inMemory(state, row);
  run.version ??= recall(state.versions, versionKey(row.taskId, row.taskVersion));
  const made: AttemptRecord = {
    id: item.attempt,
    runId: row.id,
    taskId: row.taskId,
    pool: row.pool,
    number: row.placements + 1,
    workerId: worker.row.id,
    epoch: message.epoch,
    sentAt: item.acked?.startedAt === undefined ? now.wall : instant(item.acked.startedAt),
    state: "sent",
    startedAt: null,
    endedAt: null,
    pid: null,
    end: null,
  };
  supersede(turn, run);
  const attempt = makeAttempt(made, run, worker, now.mono, true);
  attempt.requires = run.version?.definition.requires ?? attempt.requires;
  turn.changes.push({ op: "insertAttempt", row: made });
  updateRun(turn, run, {
    state: "starting",
    workerId: worker.row.id,
    placements: made.number,
    tries: row.tries + 1,
  });
  dequeue(run);
  run.holdMono = null;
  run.attempt = attempt;
  keepAttempt(state, attempt);
  take(state, worker, attempt.requires);
  emit(turn, "attemptFound", { ...aboutAttempt(attempt), data: { state: item.state, adopted: true } });
  return attempt;
}

/** The attempt that the database believed in was followed by another one, so it has ended; its worker will say how. */
function supersede(turn: Turn, run: RunCell): void {
  if (!run.attempt) return;
  run.attempt.orphan = true;
  run.attempt = null;
  updateRun(turn, run, { state: "retrying" });
}

/** An end that was acknowledged: no report of it follows. Its result went with the database. */
export function endFromLedger(turn: Turn, attempt: AttemptCell, item: InventoryItem): void {
  const { end, acked } = item;
  if (!end || !acked) return;
  const endedAt = instant(acked.endedAt);
  const startedAt = attempt.row.startedAt ?? (acked.startedAt === undefined ? null : instant(acked.startedAt));
  const why = `it went with the database that was taken back, its worker ${attempt.row.workerId} has its end only`;
  endAttempt(turn, attempt, end, {
    attempt: { endedAt, startedAt },
    run: { endedAt, startedAt: attempt.run.row.startedAt ?? startedAt, ...resultLost(attempt.run, end, why) },
    reported: true,
  });
}
