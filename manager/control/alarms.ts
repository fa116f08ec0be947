/** What an operator should know of now. One alarm for each key; the oldest gives way when there are too many. */
import type { AlarmKind } from "../../schema/alarm.ts";
import { managerLimits } from "../../schema/limits.ts";
import type { Alarm } from "./core.ts";
import type { ControlState } from "./state.ts";
import { emit, type Turn } from "./turn.ts";

/** An alarm that stands. One that nobody clears or renews is over after `standsMs`: its event stays. */
export interface StandingAlarm extends Alarm {
  readonly raisedMono: number;
  readonly standsMs: number;
}

const alarmMs = 3_600_000;

/** Raises an alarm, or renews one that stands, with this sentence. The first time is an event, and true. */
export function raiseAlarm(turn: Turn, kind: AlarmKind, about: string, sentence: string, standsMs: number = alarmMs): boolean {
  const { alarms } = turn.state;
  const key = `${kind} ${about}`;
  const before = alarms.get(key);
  const standing = before && isStanding(before, turn.now.mono) ? before : undefined;
  alarms.delete(key);
  alarms.set(key, { kind, since: standing?.since ?? turn.now.wall, sentence, raisedMono: turn.now.mono, standsMs });
  if (standing) return false;
  emit(turn, "alarm", { data: { kind, about, sentence } });
  const oldest = alarms.keys().next();
  if (alarms.size > managerLimits.alarms && !oldest.done) alarms.delete(oldest.value);
  return true;
}

export function clearAlarm(state: ControlState, kind: AlarmKind, about: string): void {
  state.alarms.delete(`${kind} ${about}`);
}

export function isStanding(alarm: StandingAlarm, nowMono: number): boolean {
  return nowMono - alarm.raisedMono < alarm.standsMs;
}
