/** The connection comes and goes; and the agent says that it leaves. */
import type { Status } from "../../schema/messages.ts";
import { timing } from "../../schema/limits.ts";
import { endAttempt } from "./ends.ts";
import { forgetWire } from "./queue.ts";
import { stopAttempt } from "./stops.ts";
import type { Turn } from "./turn.ts";

/** `stopped{by}` of what a leaving agent was told to stop. */
const stoppedByShutdown = "worker shutdown";

/** The last will of a connection: what the broker says when it is cut. */
export function willOf(epoch: string, connection: number): Status {
  return { st: "gone", ep: epoch, cn: connection };
}

/** Subscribed: the status, then a hello, again and again until a sync names this connection (rule 13). */
export function onConnected(turn: Turn, connection: number): void {
  const { state, now } = turn;
  const { link } = state;
  link.connected = true;
  link.connection = connection;
  link.synced = false;
  link.hellos = 0;
  link.ledgerAbove = null;
  link.heartbeatMono = now.mono + state.settings.heartbeatMs;
  forgetWire(state.queue);
  turn.actions.push({ action: "publish", what: "status", message: { st: "on", ep: state.options.epoch, cn: connection } });
  turn.hello = true;
}

/** Everything goes on but the talking. */
export function onDisconnected(turn: Turn): void {
  const { link, queue } = turn.state;
  link.connected = false;
  link.synced = false;
  link.helloMono = null;
  forgetWire(queue);
}

/** No start is taken from now on. What was not launched is given back; what runs goes on, or is stopped. */
export function onLeave(turn: Turn, stopRuns: boolean): void {
  const { state } = turn;
  state.leaving = true;
  for (const attempt of state.live.values()) {
    if (stopRuns)
      stopAttempt(turn, attempt, {
        by: stoppedByShutdown,
        graceSeconds: attempt.entry.order?.killGraceSeconds ?? timing.killGraceSeconds,
      });
    else if (attempt.entry.state === "accepted")
      endAttempt(turn, attempt, { how: "refused", why: "leaving: the worker is being shut down" });
  }
  state.stopsRuns ||= stopRuns;
}

/** The last word of a leaving agent, after the ends of what it was told to stop. Reports that no ack covers wait for the next agent. */
export function sayOff(turn: Turn): void {
  const { state } = turn;
  const { link } = state;
  if (!state.leaving || state.saidOff || !link.connected) return;
  if (state.stopsRuns && state.live.size > 0) return;
  state.saidOff = true;
  turn.actions.push({ action: "publish", what: "status", message: { st: "off", ep: state.options.epoch, cn: link.connection } });
}
