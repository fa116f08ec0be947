/**
 * The database was taken back in time (rule 28): what ran since may stand in it as queued. So nothing is placed until every
 * worker that was not removed has told what it ended (its ledger), or a person lets the runs go.
 */
import { boundedSentence } from "../../../schema/end.ts";
import { clearAlarm, raiseAlarm } from "../alarms.ts";
import type { HoldUpdate } from "../changes.ts";
import { armWake } from "../due.ts";
import type { Asker } from "../inputs.ts";
import { armLosses } from "../runs/loss.ts";
import type { HoldRecord } from "../records.ts";
import { isHeld, type ControlState, type WorkerCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";

/** Workers that one sentence names. */
const namesSaid = 5;

/**
 * A leader sees that history was lost. Holds from this very batch on, unless nothing that it took over could run again, or
 * a person has spoken already.
 */
export function holdForLostHistory(turn: Turn, why: string): void {
  const { state, now } = turn;
  if (state.hold || !state.tookOverRuns) return;
  const row: HoldRecord = {
    pool: state.options.pool,
    since: now.wall,
    by: null,
    byReason: null,
    why: boundedSentence(why),
    short: false,
    letGo: false,
  };
  turn.changes.push({ op: "insertHold", row });
  state.hold = { row, sentence: row.why };
  emit(turn, "poolHeld", { data: { what: "restored", why: row.why } });
  armWake(state, now.mono);
}

/** A worker has forgotten ends that the database does not know: of these nobody will tell, so only a person ends the hold. */
export function noteShortLedger(turn: Turn): void {
  if (turn.state.hold && !turn.state.hold.row.short) changeHold(turn, { short: true });
}

/** Ends the hold once everybody has told, or says what it waits for. With each tick, which a hello wakes. */
export function checkHold(turn: Turn): void {
  const { state } = turn;
  if (!state.hold) return;
  const missing = missingLedgers(state);
  const { row } = state.hold;
  if (missing.length === 0 && turn.now.mono >= strangersUntil(state) && (row.letGo || !row.short)) {
    const held = isHeld(state);
    turn.changes.push({ op: "deleteHold", pool: row.pool });
    state.hold = null;
    if (held) goOn(turn, { why: "every worker has sent its ledger" });
    return;
  }
  state.hold.sentence = sentenceOf(turn, missing);
  if (isHeld(state)) raiseAlarm(turn, "poolHeld", "", state.hold.sentence);
}

/** A person lets the runs go. False: nothing was held. Ledgers that are still to come are read all the same. */
export function letGo(turn: Turn, asker: Asker): boolean {
  if (!isHeld(turn.state)) return false;
  changeHold(turn, { letGo: true });
  goOn(turn, { why: "somebody let the runs go" }, asker);
  return true;
}

/** Workers that have not told this leader all that they ended, by id. */
export function missingLedgers(state: ControlState): WorkerCell[] {
  return [...state.workers.values()].filter((worker) => !worker.told && worker.row.state !== "removed");
}

/** Workers that joined since the backup are not in the database: a loss period is enough for them to come (rule 18). */
function strangersUntil(state: ControlState): number {
  return state.presentSinceMono + state.settings.workerLostMs;
}

function changeHold(turn: Turn, set: HoldUpdate): void {
  const { hold } = turn.state;
  if (!hold) return;
  hold.row = { ...hold.row, ...set };
  turn.changes.push({ op: "updateHold", pool: hold.row.pool, set });
}

function goOn(turn: Turn, data: Readonly<Record<string, unknown>>, asker: Asker | null = null): void {
  const { state, now } = turn;
  clearAlarm(state, "poolHeld", "");
  emit(turn, "poolReleased", { asker, data: { what: "restored", ...data } });
  for (const worker of state.workers.values()) if (worker.row.state === "lost") armLosses(state, worker, now.mono);
  armWake(state, now.mono);
}

function sentenceOf(turn: Turn, missing: readonly WorkerCell[]): string {
  const { state, now } = turn;
  const { pool } = state.options;
  const names = missing.slice(0, namesSaid).map(({ row }) => `${row.id} (${row.state})`);
  const more = missing.length > names.length ? ` and ${missing.length - names.length} more` : "";
  const waits =
    missing.length > 0
      ? `nothing is placed until these workers have said what they ended since: ${names.join(", ")}${more}; remove one that is gone for good (DELETE /workers/<id>), or let the runs go`
      : state.hold?.row.short
        ? "a worker no longer knows all that it ended since, so queued runs may have run: look at what it did, and let the runs go"
        : `nothing is placed for another ${Math.ceil((strangersUntil(state) - now.mono) / 1_000)} s, in which workers that joined since may come; or let the runs go`;
  return boundedSentence(`held, because the database was taken back: ${waits} (POST /pools/${pool}/release)`);
}
