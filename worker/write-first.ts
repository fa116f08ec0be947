/**
 * The agent's order of things: what a step wrote is durable before anything that the step wants is done (rules 2, 3, 23).
 * While the journal has no room, both wait here and are tried again; the agent goes on and says so.
 */
import type { AgentAction, AgentStep } from "./agent/types.ts";
import { heldHello, type DurableJournal } from "./agent/held-hello.ts";
import type { JournalWrite } from "./agent/records.ts";
import { JournalFull } from "./journal.ts";
import { workerLimits } from "../schema/limits.ts";
import { journalLimits } from "../schema/limits/journal.ts";

export interface WriteFirst {
  /**
   * Makes the writes of these steps durable in one transaction and then acts; holds both back while the journal is full.
   * Steps that can wait alone are acted on at once: what they wrote goes with the next transaction.
   */
  commit(steps: readonly AgentStep[]): void;
  /** Writes what waits for the next transaction. */
  settle(): void;
  /** Tries again what is held back. */
  retry(): void;
  /** Why nothing can be written; null while all is well. */
  readonly full: string | null;
}

/** `act` performs one action; `journal.write` throws `JournalFull` when there is no room, and anything else is a bug or a broken disk. */
export function writeFirst(deps: {
  readonly journal: { write(writes: readonly JournalWrite[]): void; durable(): DurableJournal };
  readonly act: (action: AgentAction) => void;
}): WriteFirst {
  let writes: JournalWrite[] = [];
  let actions: AgentAction[] = [];
  let full: string | null = null;

  const act = (): void => {
    const due = actions;
    actions = [];
    for (const action of due) deps.act(action);
  };

  const asDurable = (action: AgentAction): AgentAction =>
    action.action === "publish" && action.what === "hello"
      ? { ...action, message: heldHello(action.message, writes, deps.journal.durable()) }
      : action;

  const flush = (): void => {
    try {
      if (writes.length > 0) deps.journal.write(newest(writes));
      writes = [];
      full = null;
    } catch (error) {
      if (!(error instanceof JournalFull)) throw error;
      full = error.message;
      const unlaunched = new Set(actions.flatMap((action) => (action.action === "launch" ? [action.order.attempt] : [])));
      const urgent = actions.filter((action) => mayRunAhead(action, unlaunched));
      actions = bounded(newestReports(actions.filter((action) => !mayRunAhead(action, unlaunched))));
      for (const action of urgent) deps.act(asDurable(action));
      return;
    }
    act();
  };

  return {
    commit(steps) {
      let due = full !== null;
      for (const step of steps) {
        writes.push(...step.journal);
        actions.push(...step.actions);
        due ||= step.journal.length > 0 && step.canWait !== true;
      }
      if (due || writes.length >= journalLimits.waitingWrites) flush();
      else act();
    },
    settle() {
      if (writes.length > 0 && full === null) flush();
    },
    retry() {
      if (full !== null) flush();
    },
    get full() {
      return full;
    },
  };
}

/**
 * What may be done before its step is durable. A heartbeat states nothing that a later agent must stand by, a hello only what
 * is durable (`heldHello`), and a silent worker would pass for a dead one; ending a process and freeing shipped logs is what
 * makes room again.
 */
function mayRunAhead(action: AgentAction, unlaunched: ReadonlySet<string>): boolean {
  switch (action.action) {
    case "publish":
      return action.what !== "reports";
    case "terminate":
    case "kill":
    case "deadlines":
      // A stop that overtook its own launch would stop nothing, and the process would run after all.
      return !unlaunched.has(action.attempt);
    case "logsAck":
    case "logsAgain":
    case "disconnect":
    case "note":
      return true;
    case "fetchBody":
    case "launch":
    case "signal":
    case "settled":
      return false;
  }
}

/** Without the entries of an attempt that a later one in the same transaction replaces: a short run starts and ends in one. */
function newest(writes: readonly JournalWrite[]): readonly JournalWrite[] {
  const last = new Map<string, JournalWrite>();
  for (const write of writes) if (write.write === "entry") last.set(write.entry.attempt, write);
  return writes.filter((write) => write.write !== "entry" || last.get(write.entry.attempt) === write);
}

/** Without the reports that a later message sends again: an hour without room would hold every resend. */
function newestReports(actions: AgentAction[]): AgentAction[] {
  let from = Number.POSITIVE_INFINITY;
  const kept = actions.toReversed().filter((action) => {
    if (action.action !== "publish" || action.what !== "reports") return true;
    const first = action.message.items[0]?.seq ?? 0;
    if (first >= from) return false;
    from = first;
    return true;
  });
  return kept.toReversed();
}

/** The core repeats reports by its own timers, so the oldest of them may go. */
function bounded(actions: AgentAction[]): AgentAction[] {
  let surplus = actions.length - workerLimits.heldActions;
  if (surplus <= 0) return actions;
  return actions.filter((action) => {
    if (surplus === 0 || action.action !== "publish") return true;
    surplus -= 1;
    return false;
  });
}
