/** How a worker leaves: its processes go on, unless somebody wants them stopped. */
import type { AgentInput, AgentView } from "./agent/types.ts";
import type { Presses } from "./presses.ts";
import { pause } from "../schema/kit/backoff.ts";
import { timing } from "../schema/limits.ts";

export interface Leaving {
  /** Puts the input and resolves once the core has taken it and its actions are done. */
  readonly handled: (input: AgentInput) => Promise<void>;
  readonly view: () => AgentView;
  readonly presses: Presses;
  /** One line for the person at the terminal. */
  readonly say: (line: string) => void;
}

/**
 * Tells the core to leave and returns when the agent may go. The first press was made; a second within `secondSignalMs`,
 * or `stopRuns`, stops the processes first and waits for their ends; a third goes at once, whatever still runs.
 */
export async function leave(leaving: Leaving, stopRuns: boolean): Promise<void> {
  const { handled, view, presses, say } = leaving;
  await handled({ kind: "leave", stopRuns });
  const running = processesOf(view());
  if (running === 0) {
    say("worker leaves; none of its processes runs");
    return;
  }
  let stop = stopRuns;
  if (!stop) {
    say(
      `worker leaves; ${running} of its processes go on and are taken up at its return (Ctrl-C again within ${timing.secondSignalMs / 1_000} s stops them)`,
    );
    stop = await within(presses.reached(2), timing.secondSignalMs);
    if (stop) await handled({ kind: "leave", stopRuns: true });
  }
  if (!stop) return;
  say(`worker stops its processes (${processesOf(view())}) before it leaves`);
  await until(() => view().live.length === 0, presses.reached(3));
  // Their ends are in the journal; a manager that listens may have them now instead of at the next start.
  await until(() => view().unackedReports === 0, pause(timing.lastWordsMs, AbortSignal.any([])));
  const left = processesOf(view());
  say(left === 0 ? "all processes have ended; worker leaves" : `worker leaves; ${left} of its processes had not ended yet`);
}

/** One that is being launched counts: it may run in a moment. */
function processesOf(view: AgentView): number {
  return view.live.filter((one) => one.state !== "accepted").length;
}

/** True when it happened before the time was up. */
async function within(happened: Promise<void>, ms: number): Promise<boolean> {
  const waited = new AbortController();
  const first = await Promise.race([happened.then(() => true), pause(ms, waited.signal).then(() => false)]);
  waited.abort();
  return first;
}

/** Looks until it holds, or until `enough`. */
async function until(holds: () => boolean, enough: Promise<void>): Promise<void> {
  const over = new AbortController();
  void enough.then(() => over.abort());
  while (!holds() && !over.signal.aborted) await pause(50, over.signal);
}
