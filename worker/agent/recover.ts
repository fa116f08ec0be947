/** The first step of an agent that finds attempts in its journal: who lives is adopted, of the others the truth is said. */
import { boundedSentence } from "../../schema/end.ts";
import { arm } from "./deadlines.ts";
import { endAttempt, endOf, resultFields } from "./ends.ts";
import { reportState } from "./reports.ts";
import type { Attempt } from "./state.ts";
import { setEntry, type Turn } from "./turn.ts";
import type { Found } from "./types.ts";

/** Takes what the host found. Whatever of the journal is not in it is gone without a trace. */
export function onRecovered(turn: Turn, found: readonly Found[]): void {
  const { state } = turn;
  const byAttempt = new Map(found.map((one) => [one.attempt, one]));
  for (const attempt of state.live.values()) {
    if (attempt.entry.epoch === state.options.epoch) continue;
    if (attempt.entry.state === "accepted") refuseOld(turn, attempt);
    else recoverOne(turn, attempt, byAttempt.get(attempt.entry.attempt));
  }
}

/** A start that was not launched dies with its epoch: the run is placed again, and that is no try (rule 2). */
function refuseOld(turn: Turn, attempt: Attempt): void {
  endAttempt(turn, attempt, { how: "refused", why: "agent restarted" });
}

function recoverOne(turn: Turn, attempt: Attempt, found: Found | undefined): void {
  const { stopBy } = attempt.entry;
  switch (found?.found) {
    case "alive":
      adopt(turn, attempt, found);
      return;
    case "exited": {
      setEntry(turn, attempt, {
        process: found.process ?? attempt.entry.process,
        startedWall: found.startedWall ?? attempt.entry.startedWall,
      });
      // Without the host's word: the earlier agent journalled `stopping` before its TERM, and may have been too late with it.
      const end = endOf(attempt.entry, { ...found, termBefore: found.termBefore ?? attempt.entry.state === "stopping" });
      endAttempt(turn, attempt, end, resultFields(found.result));
      return;
    }
    case "starting":
      awaitStart(turn, attempt);
      return;
    case "failedToStart":
      endAttempt(turn, attempt, { how: "failedToStart", why: boundedSentence(found.why) });
      return;
    case "neverStarted":
      // The journal knows better: a refused attempt is placed again, and this one would run twice.
      if (attempt.entry.process !== null) endAttempt(turn, attempt, { how: "lost", why: "its folder was removed while it ran" });
      else if (stopBy === null) refuseOld(turn, attempt);
      else endAttempt(turn, attempt, { how: "stopped", by: stopBy });
      return;
    case "rebooted":
      endAttempt(turn, attempt, { how: "lost", why: "reboot" });
      return;
    case undefined:
      endAttempt(turn, attempt, { how: "lost", why: boundedSentence("its process was not found after the agent's restart") });
      return;
  }
}

/** Its deadlines go on: the timeout as journalled, the fence as the watchdog has it until an echo of this epoch moves it (rule 9). */
function adopt(turn: Turn, attempt: Attempt, found: Extract<Found, { found: "alive" }>): void {
  const { state } = turn;
  const { entry } = attempt;
  const { process, startedWall } = found;
  if (entry.order?.onLost === "retry") state.fenced.add(entry.attempt);
  if (entry.state === "stopping") {
    setEntry(turn, attempt, { process, startedWall });
    goOnStopping(turn, attempt);
  } else if (entry.state === "launching") {
    setEntry(turn, attempt, { state: "running", process, startedWall });
    reportState(turn, attempt.entry);
  }
  arm(state, attempt);
}

/** As for a launch of this epoch: what becomes of it will be told. */
function awaitStart(turn: Turn, attempt: Attempt): void {
  if (attempt.entry.order?.onLost === "retry") turn.state.fenced.add(attempt.entry.attempt);
  if (attempt.entry.state === "stopping") goOnStopping(turn, attempt);
  arm(turn.state, attempt);
}

function goOnStopping(turn: Turn, attempt: Attempt): void {
  attempt.killMono = attempt.entry.killMono;
  turn.actions.push({ action: "terminate", attempt: attempt.entry.attempt });
}
