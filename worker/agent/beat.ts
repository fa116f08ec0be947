/** What happens by time alone: deadlines, heartbeats, resends. */
import { liveDigest } from "../../schema/digest.ts";
import { protocolVersion } from "../../schema/messages.ts";
import { takeDue } from "./deadlines.ts";
import { helloDue } from "./hello.ts";
import { forgetOld } from "./ledger.ts";
import { progressDue } from "./progress.ts";
import { resendDue } from "./queue.ts";
import { freeCapacity } from "./slots.ts";
import { onDue } from "./stops.ts";
import type { Turn } from "./turn.ts";
import type { AgentInput } from "./types.ts";

/** Time has passed. */
export function onTick(turn: Turn, input: Extract<AgentInput, { kind: "tick" }>): void {
  const { state, now } = turn;
  state.load = input.load;
  state.spoolBytes = input.spoolBytes;
  // What onDue arms anew lies in the future, but for a KILL without grace, which is due in this very turn.
  for (let attempt = takeDue(state, now.mono); attempt; attempt = takeDue(state, now.mono)) onDue(turn, attempt);
  helloDue(turn);
  resendDue(turn);
  progressDue(turn);
  heartbeatDue(turn);
  forgetOld(turn);
}

function heartbeatDue(turn: Turn): void {
  const { state, now } = turn;
  const { link, options } = state;
  if (!link.connected || state.saidOff || now.mono < link.heartbeatMono) return;
  link.heartbeatMono = now.mono + state.settings.heartbeatMs;
  turn.actions.push({
    action: "publish",
    what: "heartbeat",
    message: {
      v: protocolVersion,
      epoch: options.epoch,
      connection: link.connection,
      mono: now.mono,
      free: freeCapacity(state),
      load: state.load,
      settingsVersion: state.settings.version,
      draining: state.draining || state.leaving,
      spoolBytes: state.spoolBytes,
      live: liveDigest([...state.live.keys()]),
    },
  });
}
