/** A worker introduces itself: whether it is who it says, what it has, and the sync that answers it (rules 1, 13, 14, 28). */
import { parseEpoch } from "../../../schema/ids.ts";
import { managerLimits, timing } from "../../../schema/limits.ts";
import { protocolVersion, type DownItem, type Hello } from "../../../schema/messages.ts";
import { clearAlarm, raiseAlarm } from "../alarms.ts";
import { echoOfNothing } from "./ask.ts";
import { updateWorker } from "./drain.ts";
import { holdForLostHistory } from "../recovery/hold.ts";
import { insertWorker } from "./join.ts";
import { adoptInventory } from "../runs/inventory.ts";
import { followJournal, heardOf } from "../recovery/ledger.ts";
import { becomeReachable, hear } from "./reach.ts";
import { appliedSeq, journalKey, type ControlState, type WorkerCell } from "../state.ts";
import { emit, note, type Turn } from "../turn.ts";
import { refusals, refusedFrom, type Refusal } from "./refusals.ts";

export function takeHello(turn: Turn, workerId: string, message: Hello): void {
  const { state } = turn;
  let worker = state.workers.get(workerId);
  const refused = wrongVersion(message) ?? (worker ? wrongEpoch(turn, worker, message) : notToBeTaken(turn, workerId));
  if (refused !== undefined) {
    refuseHello(turn, workerId, message, refused);
    return;
  }
  if (worker && isStale(turn, worker, message)) return;
  const items = collectParts(worker, message);
  if (worker && !items) return;
  // A stranger's first part is kept with its row; the row says nothing more than that it exists.
  worker ??= insertWorker(turn, workerId);
  const whole = items ?? collectParts(worker, message);
  if (!whole) return;
  if (message.highestTerm > state.options.term) {
    // It obeys nothing of ours until we lead with a higher term (rule 28).
    note(turn, "higherTerm", { workerId, detail: String(message.highestTerm) });
    const sentence = higherTermSentence(state, workerId, message);
    raiseAlarm(turn, "higherTerm", workerId, sentence);
    holdForLostHistory(turn, sentence);
  }
  const heard = heardOf(state, worker, message);
  introduce(turn, worker, message, heard.whole);
  // Its reports up to there are in the database only together with the ends that this inventory has.
  followJournal(turn, worker, message, heard);
  adoptInventory(turn, worker, message, whole, heard.whole);
}

function higherTermSentence(state: ControlState, workerId: string, message: Hello): string {
  return `worker ${workerId} has obeyed term ${message.highestTerm}, this leader has ${state.options.term}: the database may have been taken back`;
}

function wrongVersion(message: Hello): Refusal | undefined {
  if (message.versions.includes(protocolVersion)) return undefined;
  return {
    why: `this manager speaks protocol version ${protocolVersion}, the worker ${message.versions.join(", ") || "none"}; upgrade the older one`,
    newJournal: false,
  };
}

/** Why a worker that this pool does not know cannot join it. */
function notToBeTaken({ state }: Turn, workerId: string): Refusal | undefined {
  const pool = state.loaded.poolOfWorker.get(workerId) ?? null;
  if (pool !== null) return refusedFrom(pool);
  if (state.workers.size < managerLimits.workers) return undefined;
  return { why: `the pool has ${managerLimits.workers} workers already, the most that it may have`, newJournal: false };
}

/** Rule 1. Undefined: it is the known epoch or its lawful successor, or the old one is lost and this one begins anew. */
function wrongEpoch(turn: Turn, worker: WorkerCell, message: Hello): Refusal | undefined {
  const { row } = worker;
  if (row.epoch === null) return undefined;
  if (row.epoch === message.epoch) return row.state === "removed" ? refusals.removed : undefined;
  const [known, other] = [parseEpoch(row.epoch), parseEpoch(message.epoch)];
  if (other.journal === known.journal) {
    if (other.n > known.n) return isCopy(turn, worker, message, other.journal) ? refusals.copy : undefined;
    if (other.n < known.n) {
      raiseAlarm(
        turn,
        "lowerEpoch",
        row.id,
        `worker ${row.id}: an agent of an earlier life (${message.epoch}) was heard after its successor`,
      );
      return refusals.earlierLife;
    }
    return refusals.clone;
  }
  if (row.state !== "lost" && row.state !== "removed" && row.state !== "neverSeen") return refusals.duplicate;
  // Only a new journal may follow a lost one: an old one that comes back would speak for attempts that were given up.
  return turn.state.journals.has(journalKey(row.id, other.journal)) ? refusals.oldJournal : undefined;
}

/** A successor that knew less at its start than what was applied was restored from a copy, whatever it has written since. */
function isCopy(turn: Turn, worker: WorkerCell, message: Hello, journal: string): boolean {
  return (message.seqAtStart ?? message.newestSeq) < appliedSeq(turn.state, worker.row.id, journal);
}

/** How long the alarm about a refused agent stands at least after its last try. */
const leastRefusedAlarmMs = 600_000;

function refuseHello(turn: Turn, workerId: string, message: Hello, { why, newJournal }: Refusal): void {
  const { epoch, connection } = message;
  const worker = turn.state.workers.get(workerId);
  const stops = worker?.row.state === "removed" && worker.row.epoch === epoch ? leftovers(message) : [];
  turn.strange.push({
    workerId,
    asOf: echoOfNothing(epoch),
    items: [...stops, { kind: "sync", epoch, connection, refused: why, ...(newJournal ? { newJournal } : {}) }],
  });
  note(turn, "helloRefused", { workerId, detail: why });
  // It comes again after each loss period. One that has stayed away for several has gone, or has been given another id.
  const standsMs = Math.max(leastRefusedAlarmMs, 4 * turn.state.settings.workerLostMs);
  const isNew = raiseAlarm(turn, "workerRefused", workerId, `worker ${workerId} is refused: ${why}`, standsMs);
  // Of one that is none of this pool nothing is remembered but the alarm.
  if (worker ? worker.refusedEpoch === epoch : !isNew) return;
  if (worker) worker.refusedEpoch = epoch;
  emit(turn, "workerRefused", { workerId, data: { why, epoch } });
}

/** What a removed worker still runs: its runs are over here, and it is told so before it is sent away. */
function leftovers(message: Hello): DownItem[] {
  return message.inventory.items
    .filter((item) => item.state !== "ended")
    .slice(0, managerLimits.idsPerSync)
    .map((item) => ({
      kind: "stop",
      attempt: item.attempt,
      by: "muster: its worker was removed",
      graceSeconds: timing.killGraceSeconds,
    }));
}

/** Of an older connection, or of one whose end is known: it was under way for long, and a newer one follows. */
function isStale(turn: Turn, worker: WorkerCell, message: Hello): boolean {
  if (worker.row.epoch !== message.epoch || worker.row.state === "removed") return false;
  if (message.connection >= worker.row.connection && message.connection > worker.goneConnection) return false;
  note(turn, "staleHello", { workerId: worker.row.id });
  return true;
}

/** The inventory once all its parts are there; parts of another snapshot begin a new collection. */
function collectParts(worker: WorkerCell | undefined, message: Hello): Hello["inventory"]["items"] | undefined {
  const { part, of, items } = message.inventory;
  if (of === 1) {
    if (worker) worker.inventory = null;
    return items;
  }
  if (!worker) return undefined;
  const { epoch, connection, mono } = message;
  const kept = worker.inventory;
  if (!kept || kept.epoch !== epoch || kept.connection !== connection || kept.mono !== mono || kept.of !== of) {
    if (kept?.epoch === epoch && (kept.connection > connection || kept.mono > mono)) return undefined;
    worker.inventory = { epoch, connection, mono, of, parts: new Map() };
  }
  const { parts } = worker.inventory as NonNullable<WorkerCell["inventory"]>;
  parts.set(part, items);
  if (parts.size < of) return undefined;
  worker.inventory = null;
  return [...parts.entries()].toSorted((a, b) => a[0] - b[0]).flatMap(([, each]) => each);
}

/** Whether this hello, with the parts that came before it, is whole; and what it lists then. Changes nothing. */
export function listedBy(worker: WorkerCell | undefined, message: Hello): Hello["inventory"]["items"] {
  const { part, of, items } = message.inventory;
  if (of === 1) return items;
  const kept = worker?.inventory;
  if (!kept || kept.epoch !== message.epoch || kept.connection !== message.connection || kept.mono !== message.mono) return [];
  const others = [...kept.parts.entries()].filter(([number]) => number !== part);
  return others.length + 1 < of ? [] : [...others.flatMap(([, each]) => each), ...items];
}

/** What the hello says of the worker itself. `whole`: it may be given work; else the rest of its ledger comes first. */
function introduce(turn: Turn, worker: WorkerCell, message: Hello, whole: boolean): void {
  const successor = worker.row.epoch !== message.epoch;
  // The lawful agent is heard anew each time that a second one takes its connection: that is no end of the matter.
  if (successor || worker.refusedEpoch === message.epoch) {
    worker.refusedEpoch = null;
    clearAlarm(turn.state, "workerRefused", worker.row.id);
  }
  if (successor) {
    worker.mono = null;
    worker.goneConnection = 0;
    worker.found.clear();
  }
  hear(turn, worker, message.mono);
  worker.synced = whole;
  worker.askDelayMs = 0;
  worker.refusals = 0;
  worker.restMono = null;
  worker.beatMs = Math.max(worker.beatMs, turn.state.settings.heartbeatMs);
  updateWorker(turn, worker, {
    epoch: message.epoch,
    connection: message.connection,
    facts: message.facts,
    ownLabels: message.labels,
    capacity: message.capacity,
    survives: message.survives,
    http: message.http,
    lastSeenAt: turn.now.wall,
  });
  becomeReachable(turn, worker);
}
