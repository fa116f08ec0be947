/** An attempt moves on: sent, accepted, running, stopping. Only forward, whatever the order in which the news arrive. */
import type { AttemptState } from "../../../schema/run.ts";
import type { AttemptUpdate } from "../changes.ts";
import { armAttempt } from "../due.ts";
import { aboutAttempt } from "./ends.ts";
import { naturalState, updateRun } from "./runs.ts";
import type { AttemptCell } from "../state.ts";
import { emit, type Turn } from "../turn.ts";

const order: Readonly<Record<AttemptState, number>> = { sent: 0, accepted: 1, running: 2, stopping: 3, ended: 4 };
const eventOf = { accepted: "attemptAccepted", running: "attemptRunning", stopping: "attemptStopping" } as const;

/** The worker spoke of it, in `epoch` at `mono`: it is known there, and its start need not be sent again. */
export function markKnown(turn: Turn, attempt: AttemptCell, epoch: string, mono: number): void {
  if (attempt.known?.epoch !== epoch || attempt.known.mono < mono) attempt.known = { epoch, mono };
  if (!attempt.orphan && attempt.run.row.stop === null) armAttempt(turn.state, attempt, null);
}

/** Brings the attempt, and its run, to this state if it is not there yet. */
export function advance(
  turn: Turn,
  attempt: AttemptCell,
  to: "accepted" | "running" | "stopping",
  more: AttemptUpdate = {},
): void {
  const { run, row } = attempt;
  const forward = order[to] > order[row.state];
  const news = forward ? { ...more, state: to } : more;
  if (Object.keys(news).length === 0) return;
  attempt.row = { ...row, ...news };
  turn.changes.push({ op: "updateAttempt", id: row.id, set: news });
  if (!forward) return;
  attempt.worker.changedSinceBeat = true;
  attempt.worker.digest = null;
  const pid = more.pid === undefined ? {} : { pid: more.pid };
  emit(turn, eventOf[to], { ...aboutAttempt(attempt), data: { number: row.number, ...pid } });
  if (to === "running") attempt.worker.refusals = 0;
  if (attempt.orphan) return;
  const state = naturalState(run, attempt);
  const startedAt = to === "running" && run.row.startedAt === null ? { startedAt: more.startedAt ?? turn.now.wall } : {};
  if (state !== run.row.state) updateRun(turn, run, { state, ...startedAt });
  else if ("startedAt" in startedAt) updateRun(turn, run, startedAt);
}
