/** Signals to attempts: to the group of an attempt's own shim, and only while its exit record is blank (rules 24, 25). */
import { constants } from "node:os";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { Attempts } from "./attempts.ts";
import { sendSignal } from "./proc.ts";
import { whenProgram } from "./program.ts";
import { markSignal, markTerm, readExit, shimAlive, type Started } from "./records.ts";
import type { Tracked } from "./tracked.ts";
import type { Reaper } from "./tree.ts";

export interface Signals {
  /** TERM to the group. */
  terminate(attempt: string): void;
  /** KILL to the whole tree. */
  kill(attempt: string): void;
  signal(attempt: string, signal: string): void;
}

export interface SignalsDeps {
  readonly attempts: Attempts;
  readonly reaper: Reaper;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Log;
}

export function makeSignals(deps: SignalsDeps): Signals {
  const { attempts, reaper, bootId, clock, log } = deps;
  const blank = ({ attempt }: Tracked): boolean => readExit(attempts.folderOf(attempt), attempt).is === "blank";

  /** False when the end came first, or somebody sent TERM before. */
  const termed = (t: Tracked): boolean =>
    blank(t) && markTerm(attempts.folderOf(t.attempt), "agent", Math.floor(clock.now().mono / 1_000));

  /** An attempt whose folder is not even made is not launched at all. */
  const callOff = (attempt: string): boolean => {
    const t = attempts.get(attempt);
    if (t?.state !== "queued") return false;
    t.order = null;
    // Not from within the caller's own turn: the listener may be in the middle of asking.
    setImmediate(() => attempts.neverStarts(t, "it was stopped before it was launched"));
    return true;
  };

  /** Acts on the attempt's process, at once or as soon as its shim is known. */
  const withShim = (attempt: string, act: (t: Tracked, started: Started) => void): void => {
    if (attempts.get(attempt)?.state === "launching") attempts.look(attempt);
    const t = attempts.get(attempt);
    if (!t) return;
    // Its shim serves nobody after it, so that nothing which is sent from here on can reach another attempt.
    t.marked = true;
    if (t.started !== null) return act(t, t.started);
    t.early.push(() => t.started !== null && act(t, t.started));
  };

  const withProgram = (attempt: string, act: (t: Tracked, started: Started) => void): void => {
    withShim(attempt, (t, started) => {
      const lives = (): boolean => attempts.get(attempt) === t && t.state !== "ending" && blank(t);
      whenProgram(started, { bootId, clock, lives }, () => attempts.get(attempt) === t && act(t, started));
    });
  };

  return {
    terminate: (attempt) => {
      if (callOff(attempt)) return;
      withProgram(attempt, (t, started) => {
        if (!termed(t) || !shimAlive(started, bootId)) return;
        sendSignal(-started.group, "SIGTERM");
        // A process that is stopped takes TERM only when it goes on.
        sendSignal(-started.group, "SIGCONT");
      });
    },
    kill: (attempt) => {
      if (callOff(attempt)) return;
      withShim(attempt, (t, started) => {
        termed(t);
        if (shimAlive(started, bootId)) sendSignal(-started.group, "SIGKILL");
        reaper.reap(attempt, t, () => attempts.look(attempt));
      });
    },
    signal: (attempt, signal) => {
      if (!(signal in constants.signals)) {
        log.warn({ attemptId: attempt, signal }, "this host knows no such signal; nothing sent");
        return;
      }
      withProgram(attempt, (t, started) => {
        if (!blank(t) || !shimAlive(started, bootId)) return;
        markSignal(attempts.folderOf(attempt), signal);
        sendSignal(-started.group, signal as NodeJS.Signals);
      });
    },
  };
}
