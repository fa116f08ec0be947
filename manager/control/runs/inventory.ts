/** What a worker has, against what we believe it has. Presence is news; absence proves something only under rule 7. */
import { parseEpoch } from "../../../schema/ids.ts";
import { managerLimits } from "../../../schema/limits.ts";
import type { Hello, InventoryItem } from "../../../schema/messages.ts";
import { remind } from "./attempts.ts";
import { endAsListed, endAttempt } from "./ends.ts";
import { noteFound } from "../recovery/found.ts";
import { adoptLost, endFromLedger } from "../recovery/ledger.ts";
import { loseMissing, unproven } from "./loss.ts";
import { advance, markKnown } from "./progress.ts";
import { armAttempt } from "../due.ts";
import { appliedSeq, isKnown, recentAttempt, type AttemptCell, type WorkerCell } from "../state.ts";
import { note, send, type Turn } from "../turn.ts";

/**
 * Takes an inventory. `whole`: with what the database knows it is everything that the worker has, so that absence may prove
 * something; then it is answered by the sync that names its (epoch, connection).
 */
export function adoptInventory(
  turn: Turn,
  worker: WorkerCell,
  message: Hello,
  items: readonly InventoryItem[],
  whole: boolean,
): void {
  const listed = new Set<string>();
  const keep: string[] = [];
  const stop: string[] = [];
  const ask: string[] = [];
  for (const item of items) {
    listed.add(item.attempt);
    const attempt = turn.state.attempts.get(item.attempt) ?? adoptUnknown(turn, worker, message, item);
    if (!attempt) {
      if (wantsStop(turn, worker, item)) stop.push(item.attempt);
    } else if (attempt.worker !== worker) {
      note(turn, "strangeAttempt", {
        workerId: worker.row.id,
        attemptId: item.attempt,
        detail: `it is bound to worker ${attempt.row.workerId}`,
      });
    } else if (takePresent(turn, attempt, message, item)) {
      (attempt.orphan ? stop : keep).push(item.attempt);
    } else if (item.acked) {
      endFromLedger(turn, attempt, item);
    } else if (everythingApplied(turn, worker, message)) {
      // Ended there, and the report of it is not on its way any more: it says it again.
      ask.push(item.attempt);
    }
  }
  if (!whole) return;
  sendSync(turn, worker, message, keep, stop);
  for (let at = 0; at < ask.length; at += managerLimits.idsPerAsk)
    send(turn, worker, { kind: "ask", attempts: ask.slice(at, at + managerLimits.idsPerAsk) });
  for (const attempt of worker.attempts.values()) if (!listed.has(attempt.row.id)) takeAbsent(turn, attempt, message);
  for (const attempt of worker.attempts.values()) saySoon(turn, attempt);
}

/** It may be an attempt of the time that the database has lost. */
function adoptUnknown(turn: Turn, worker: WorkerCell, message: Hello, item: InventoryItem): AttemptCell | undefined {
  return isKnown(turn.state, item.attempt) ? undefined : adoptLost(turn, worker, message, item);
}

/** It is there. True while it lives; an end comes with its report, which alone has the result. */
function takePresent(turn: Turn, attempt: AttemptCell, message: Hello, item: InventoryItem): boolean {
  markKnown(turn, attempt, message.epoch, message.mono);
  if (item.state === "accepted" || item.state === "running" || item.state === "stopping") advance(turn, attempt, item.state);
  if (item.state !== "ended") return true;
  // Whatever follows, it can no longer be said that it never came.
  attempt.listedEnd = item.end ?? null;
  if (item.end && item.end.how !== "refused") advance(turn, attempt, "accepted");
  return false;
}

function everythingApplied(turn: Turn, worker: WorkerCell, message: Hello): boolean {
  const { journal } = parseEpoch(message.epoch);
  return appliedSeq(turn.state, worker.row.id, journal) >= message.newestSeq;
}

/** An attempt that does not live here: one that has ended for us is to be stopped there, an unknown one is left alone (rule 14). */
function wantsStop(turn: Turn, worker: WorkerCell, item: InventoryItem): boolean {
  const ended = recentAttempt(turn.state, item.attempt) ?? turn.state.loaded.attempts.get(item.attempt);
  if (!ended) {
    noteFound(turn, worker, item.attempt, item.run, item.state);
    return false;
  }
  return item.state !== "ended" && ended.workerId === worker.row.id;
}

function sendSync(turn: Turn, worker: WorkerCell, message: Hello, keep: readonly string[], stop: readonly string[]): void {
  const { state } = turn;
  const { epoch, connection } = message;
  const { journal } = parseEpoch(epoch);
  const ack = { journal, seq: appliedSeq(state, worker.row.id, journal) };
  const parts = Math.max(1, Math.ceil(Math.max(keep.length, stop.length) / managerLimits.idsPerSync));
  for (let part = 0; part < parts; part += 1) {
    const cut = (ids: readonly string[]): string[] =>
      ids.slice(part * managerLimits.idsPerSync, (part + 1) * managerLimits.idsPerSync);
    send(turn, worker, {
      kind: "sync",
      epoch,
      connection,
      keep: cut(keep),
      stop: cut(stop),
      ack,
      settings: state.settings,
      draining: worker.row.draining,
    });
  }
}

/** It is not there. What that proves depends on whether this snapshot can be older than what we know or have sent. */
function takeAbsent(turn: Turn, attempt: AttemptCell, message: Hello): void {
  if (attempt.row.state === "sent" && attempt.known === null) {
    takeUnanswered(turn, attempt, message);
  } else if (!mayBeOlder(turn, attempt, message)) {
    // It was listed with its end before, and the report of that is not on its way any more; or nobody knows how it ended.
    if (attempt.listedEnd) endAsListed(turn, attempt, attempt.listedEnd, `worker ${attempt.row.workerId} came back without it`);
    else loseMissing(turn, attempt, unproven.missing);
  }
}

/** Its start was never answered: whether it is proven that it never ran and never will (rule 7b). */
function takeUnanswered(turn: Turn, attempt: AttemptCell, message: Hello): void {
  const neverRan = (why: string): void => endAttempt(turn, attempt, { how: "refused", why }, { reported: false });
  if (attempt.row.epoch !== message.epoch) {
    if (isSuccessor(attempt, message)) neverRan("agent restarted");
    else loseMissing(turn, attempt, unproven.otherJournal);
  } else if (turn.state.sentNow.includes(attempt)) {
    // Sent again in this very batch: later steps of it may raise that envelope's asOf beyond this snapshot.
    return;
  } else if (message.mono >= attempt.provableMono && (!attempt.inherited || obeysUs(turn, message))) {
    neverRan("its start never came");
  }
}

/** Whether the snapshot may have been taken before the worker had what we know that it has. */
function mayBeOlder(turn: Turn, attempt: AttemptCell, message: Hello): boolean {
  const { known } = attempt;
  // One instant of its clock holds many steps, and the clock has coarse ones: a snapshot of the same instant may be of an earlier step.
  if (known) return known.epoch === message.epoch && message.mono <= known.mono;
  return attempt.row.epoch === message.epoch && !obeysUs(turn, message);
}

/** The snapshot is from after a command of our term: from then on the worker drops every start of an earlier leader (rule 15). */
function obeysUs(turn: Turn, message: Hello): boolean {
  return message.highestTerm >= turn.state.options.term;
}

/** Whether the hello's epoch speaks for the one that the attempt is bound to (rule 1). */
function isSuccessor(attempt: AttemptCell, message: Hello): boolean {
  const [bound, now] = [parseEpoch(attempt.row.epoch), parseEpoch(message.epoch)];
  return bound.journal === now.journal && now.n > bound.n;
}

/** What it has not answered, or has not stopped, is said again at once: it may have been away for long. */
function saySoon(turn: Turn, attempt: AttemptCell): void {
  const unanswered = attempt.row.state === "sent" || attempt.orphan || attempt.run.row.stop !== null;
  if (!unanswered || attempt.firstSentMono === turn.now.mono) return;
  attempt.delayMs = 0;
  armAttempt(turn.state, attempt, null);
  remind(turn, attempt);
}
