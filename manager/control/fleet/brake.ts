/** The fleet brake (rule 11): if many workers vanish at once it is rather the wire than the workers, and nobody is declared lost. */
import { clearAlarm, raiseAlarm } from "../alarms.ts";
import type { PoolLive } from "../core.ts";
import { armWake } from "../due.ts";
import type { ControlState, WorkerCell } from "../state.ts";
import type { Turn } from "../turn.ts";

/** More workers than these, and than this part of those that were reachable, must vanish within two beats. */
const leastGone = 3;
const partGone = 0.3;
const withinBeats = 2;

/** A worker has just become unreachable. */
export function noteGone(turn: Turn, worker: WorkerCell): void {
  const { state, now } = turn;
  const { gone, untilMono } = state.brake;
  const windowMs = withinBeats * state.settings.heartbeatMs;
  gone.set(worker.row.id, now.mono);
  for (const [id, goneMono] of gone) {
    if (goneMono >= now.mono - windowMs) break;
    gone.delete(id);
  }
  // Those that vanish together once it lets go are held anew: neither its time nor a person's word was about them.
  const holds = untilMono !== null && now.mono < untilMono;
  if (!holds && isFleet(state, gone.size)) pull(state, now.mono);
}

/** It is heard again: whoever vanishes next did not vanish together with it. */
export function noteBack(state: ControlState, worker: WorkerCell): void {
  state.brake.gone.delete(worker.row.id);
}

/** A new leader that finds many workers silent cannot know whether they vanished at once: it takes it that they did. */
export function brakeAtTakeover(state: ControlState, nowMono: number): void {
  if (isFleet(state, countUnreachable(state))) pull(state, nowMono);
}

function isFleet(state: ControlState, gone: number): boolean {
  return gone > Math.max(leastGone, partGone * (state.reachable + gone));
}

function pull(state: ControlState, nowMono: number): void {
  const { brake } = state;
  brake.untilMono = nowMono + state.options.timing.brakeHoldMs;
  brake.releasing = false;
  for (const worker of state.workers.values()) worker.releaseMono = null;
  armWake(state, nowMono);
  armWake(state, brake.untilMono);
}

/** Whether this worker may be declared lost now; when not, the mono ms at which to ask again. */
export function mayLose(turn: Turn, worker: WorkerCell): true | number {
  const { state, now } = turn;
  const { brake } = state;
  if (brake.untilMono === null) return true;
  if (!brake.releasing && now.mono < brake.untilMono) return brake.untilMono;
  // Letting go: each gets an instant of its own, at the stated rate.
  brake.releasing = true;
  if (worker.releaseMono !== null && now.mono >= worker.releaseMono) return true;
  brake.nextReleaseMono = Math.max(brake.nextReleaseMono, now.mono) + 1_000 / state.options.timing.brakeReleasePerSecond;
  worker.releaseMono = brake.nextReleaseMono;
  return worker.releaseMono;
}

/** Says that the brake holds, or ends it: what vanished is back, or nobody is left to be declared lost. With each tick. */
export function checkBrake(turn: Turn): void {
  const { state } = turn;
  const { brake } = state;
  if (brake.untilMono === null) return;
  const silent = countUnreachable(state);
  const over = brake.releasing ? silent === 0 : !isFleet(state, silent);
  if (!over) {
    raiseAlarm(turn, "fleetBrake", "", brakeSentence(state, silent));
    return;
  }
  brake.untilMono = null;
  brake.releasing = false;
  clearAlarm(state, "fleetBrake", "");
}

function brakeSentence(state: ControlState, silent: number): string {
  const { timing, pool } = state.options;
  return state.brake.releasing
    ? `${silent} workers are silent; the fleet brake lets go, and at most ${timing.brakeReleasePerSecond} of them are declared lost in a second`
    : `${silent} workers are silent at once; none is declared lost until most are back, or ${timing.brakeHoldMs / 1_000} s have passed, or somebody says that they are gone (POST /pools/${pool}/release)`;
}

/** The brake for people; null when it does not hold. */
export function brakeView(state: ControlState): PoolLive["brake"] {
  if (state.brake.untilMono === null) return null;
  const silent = countUnreachable(state);
  return { sentence: brakeSentence(state, silent), silent };
}

/** A person says that the workers are gone: it lets go now, at its rate. False: it does not hold. */
export function letBrakeGo(turn: Turn): boolean {
  const { brake } = turn.state;
  if (brake.untilMono === null || brake.releasing) return false;
  brake.untilMono = turn.now.mono;
  brake.releasing = true;
  brake.gone.clear();
  return true;
}

function countUnreachable(state: ControlState): number {
  let count = 0;
  for (const worker of state.workers.values()) if (worker.row.state === "unreachable") count += 1;
  return count;
}
