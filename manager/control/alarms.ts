/** What an operator should know of now. One alarm for each key; the oldest gives way when there are too many. */
import { managerLimits } from "../../schema/limits.ts";
import type { ControlState } from "./state.ts";
import { emit, type Turn } from "./turn.ts";

/** Raises an alarm, or changes the sentence of one that stands. The first time is an event. */
export function raiseAlarm(turn: Turn, kind: string, about: string, sentence: string): void {
  const { alarms } = turn.state;
  const key = `${kind} ${about}`;
  const standing = alarms.get(key);
  alarms.set(key, { kind, since: standing?.since ?? turn.now.wall, sentence });
  if (standing) return;
  emit(turn, "alarm", { data: { kind, about, sentence } });
  const oldest = alarms.keys().next();
  if (alarms.size > managerLimits.alarms && !oldest.done) alarms.delete(oldest.value);
}

export function clearAlarm(state: ControlState, kind: string, about: string): void {
  state.alarms.delete(`${kind} ${about}`);
}
