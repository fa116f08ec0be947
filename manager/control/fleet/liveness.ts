/** Heartbeats and statuses: signs of life, and what each of them may correct. */
import { liveDigest } from "../../../schema/digest.ts";
import { parseEpoch } from "../../../schema/ids.ts";
import type { Heartbeat, Status } from "../../../schema/messages.ts";
import { askHello, askStranger } from "./ask.ts";
import { becomeLost, becomeReachable, becomeUnreachable, hear, watch } from "./reach.ts";
import { mayLose } from "./brake.ts";
import { armWorker } from "../due.ts";
import { appliedSeq, heardSince, isReachable, type WorkerCell } from "../state.ts";
import { note, send, type Turn } from "../turn.ts";

/** Beats in a row whose digest differs before the whole inventory is asked for. */
const missesBeforeAsking = 2;

export function takeHeartbeat(turn: Turn, workerId: string, message: Heartbeat): void {
  const { state } = turn;
  const worker = state.workers.get(workerId);
  if (!worker || worker.row.epoch !== message.epoch || worker.row.state === "removed") {
    note(turn, "unknownEpoch", { workerId, detail: "a heartbeat of an epoch that has not said hello" });
    if (!worker || speaksForNobodyElse(worker, message.epoch)) askStranger(turn, workerId, message.epoch);
    return;
  }
  if (!hear(turn, worker, message.mono)) return;
  worker.view.load = message.load;
  if (!worker.synced || message.connection > worker.row.connection) askHello(turn, worker);
  if (message.connection <= worker.goneConnection) return;
  // A lost worker comes back by its hello only: its runs may have gone elsewhere.
  if (worker.row.state === "unreachable" && message.connection === worker.row.connection) becomeReachable(turn, worker);
  if (!isReachable(worker)) return;
  correctSettings(turn, worker, message);
  compareDigest(turn, worker, message);
  if (needsEcho(turn, worker)) echo(turn, worker, message.epoch);
}

/** A hello from that epoch would not be refused at once: nothing is gained by asking one that would be. */
function speaksForNobodyElse(worker: WorkerCell, epochText: string): boolean {
  if (worker.row.epoch === null || worker.row.state === "removed" || worker.row.state === "lost") return true;
  const [known, other] = [parseEpoch(worker.row.epoch), parseEpoch(epochText)];
  return known.journal === other.journal && other.n > known.n;
}

function correctSettings(turn: Turn, worker: WorkerCell, message: Heartbeat): void {
  const { settings } = turn.state;
  if (message.settingsVersion === settings.version) worker.beatMs = settings.heartbeatMs;
  else {
    worker.beatMs = Math.max(worker.beatMs, settings.heartbeatMs);
    send(turn, worker, { kind: "settings", ...settings });
  }
  if (message.draining !== worker.row.draining) send(turn, worker, { kind: "drain", on: worker.row.draining });
}

/** Two quiet beats in a row that name other attempts than we do: something went past us. */
function compareDigest(turn: Turn, worker: WorkerCell, message: Heartbeat): void {
  const changed = worker.changedSinceBeat;
  worker.changedSinceBeat = false;
  if (changed || !worker.synced) return;
  worker.digest ??= digestOf(worker);
  if (worker.digest === `${message.live.count} ${message.live.hash}`) {
    worker.digestMisses = 0;
    return;
  }
  worker.digestMisses += 1;
  if (worker.digestMisses < missesBeforeAsking) return;
  worker.digestMisses = 0;
  note(turn, "digestDiffers", { workerId: worker.row.id, detail: "its live attempts are not the ones known here" });
  askHello(turn, worker);
}

/** Of the attempts that the worker has told us of; a start that it has not answered is its own matter. */
function digestOf(worker: WorkerCell): string {
  const ids: string[] = [];
  for (const attempt of worker.attempts.values()) if (attempt.row.state !== "sent") ids.push(attempt.row.id);
  const { count, hash } = liveDigest(ids);
  return `${count} ${hash}`;
}

/** Its host stops attempts with a fence unless it hears from us (rule 8). */
function needsEcho(turn: Turn, worker: WorkerCell): boolean {
  if (worker.spokenMono === turn.now.mono) return false;
  for (const { run, orphan } of worker.attempts.values()) if (!orphan && run.version?.definition.onLost === "retry") return true;
  return false;
}

/** The ack that stands, as the carrier of a fresh `asOf`. */
function echo(turn: Turn, worker: WorkerCell, epochText: string): void {
  const { journal } = parseEpoch(epochText);
  send(turn, worker, { kind: "ack", journal, seq: appliedSeq(turn.state, worker.row.id, journal) });
}

export function takeStatus(turn: Turn, workerId: string, message: Status): void {
  const worker = turn.state.workers.get(workerId);
  const { st, ep, cn } = message;
  if (st === "on") {
    const known = worker?.row.epoch === ep && worker.synced && worker.row.connection >= cn;
    if (known) return;
    if (worker?.row.epoch === ep && worker.row.state !== "removed") askHello(turn, worker);
    else if (!worker || speaksForNobodyElse(worker, ep)) askStranger(turn, workerId, ep);
    return;
  }
  if (!worker || worker.row.epoch !== ep || cn < worker.row.connection) {
    note(turn, "staleStatus", { workerId, detail: `${st} of another epoch or connection` });
    return;
  }
  worker.goneConnection = Math.max(worker.goneConnection, cn);
  becomeUnreachable(turn, worker, st === "off" ? "it said goodbye" : "its connection broke");
}

/** Its silence is looked at. */
export function lookAtWorker(turn: Turn, worker: WorkerCell): void {
  const { state, now } = turn;
  const { timing } = state.options;
  const silentMs = now.mono - heardSince(state, worker);
  if (isReachable(worker)) {
    if (silentMs < timing.unreachableIntervals * worker.beatMs) watch(state, worker);
    else becomeUnreachable(turn, worker, `no heartbeat for ${Math.round(silentMs / 1_000)} s`);
    return;
  }
  if (worker.row.state !== "unreachable") return;
  if (silentMs < timing.workerLostIntervals * worker.beatMs) {
    watch(state, worker);
    return;
  }
  const allowed = mayLose(turn, worker);
  if (allowed === true) becomeLost(turn, worker);
  else armWorker(state, worker, allowed);
}
