/** What leaves the engine once a batch holds: answers, commands merged per worker, and a log line for each input. */
import type { Now } from "../../schema/given.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { AsOf, DownItem } from "../../schema/messages.ts";
import { asOfOf } from "../control/commands.ts";
import type { Answer, Command, Step } from "../control/outputs.ts";
import type { Lead } from "./lead.ts";
import type { LogAcksTaken } from "./log-acks.ts";
import type { Waiting } from "./queue.ts";

export interface Released {
  readonly answers: readonly Answer[];
  /** One entry for each worker and epoch, its items in the order in which they were decided. */
  readonly commands: readonly Command[];
  /** A worker obeyed a higher term than ours: lead again above it (rule 28). */
  readonly higherTerm: number | undefined;
}

interface Envelope {
  readonly workerId: string;
  asOf: AsOf;
  readonly items: DownItem[];
}

export function release(
  lead: Pick<Lead, "state">,
  taken: readonly Waiting[],
  steps: readonly Step[],
  logAcks: LogAcksTaken,
  now: Now,
  log: Log,
): Released {
  const answers: Answer[] = [];
  const byEpoch = new Map<string, Envelope>();
  let higherTerm: number | undefined;
  for (const [index, step] of steps.entries()) {
    answers.push(...step.answers);
    for (const command of step.commands) merge(byEpoch, command);
    for (const note of step.notes) {
      if (note.what === "higherTerm") higherTerm = Math.max(higherTerm ?? 0, Number(note.detail));
      log.info({ pool: lead.state.options.pool, ...note }, "noted");
    }
    const waiting = taken[index];
    if (waiting) logInput(log, waiting, step, now);
  }
  for (const [workerId, items] of logAcks) {
    const asOf = asOfOf(lead.state, workerId);
    if (asOf) merge(byEpoch, { workerId, asOf, items });
  }
  return { answers, commands: [...byEpoch.values()], higherTerm };
}

/**
 * Later steps know a later mono, and the commit that covers them confirms it for all items of the envelope. Items decided for
 * one epoch never travel under another's: a successor would obey a start that is bound to the life before it (rule 2).
 */
function merge(byEpoch: Map<string, Envelope>, command: Command): void {
  const key = `${command.workerId} ${command.asOf.epoch}`;
  const envelope = byEpoch.get(key);
  if (!envelope) {
    byEpoch.set(key, { workerId: command.workerId, asOf: command.asOf, items: [...command.items] });
    return;
  }
  envelope.items.push(...command.items);
  if (command.asOf.mono > envelope.asOf.mono) envelope.asOf = command.asOf;
}

function logInput(log: Log, waiting: Waiting, step: Step, now: Now): void {
  const { input } = waiting;
  const durationMs = Math.round((now.mono - waiting.arrivedMs) * 10) / 10;
  switch (input.kind) {
    case "request":
    case "takenBack":
    case "tick":
    case "place":
      return; // A request is logged by the API with its route and status.
    case "heartbeat":
      log.debug({ message: input.kind, workerId: input.workerId, durationMs, outcome: "handled" }, "message");
      return;
    case "reports": {
      const outcome = step.notes.length > 0 ? step.notes.map((note) => note.what).join(",") : "applied";
      log.info(
        {
          message: input.kind,
          workerId: input.workerId,
          attemptIds: firstOf(input.message.items, (item) => item.attempt),
          runIds: firstOf(step.changes, (change) => (change.op === "updateRun" ? change.id : undefined)),
          items: input.message.items.length,
          durationMs,
          outcome,
        },
        "message",
      );
      return;
    }
    case "hello":
    case "status":
      log.info(
        {
          message: input.kind,
          workerId: input.workerId,
          durationMs,
          outcome: step.notes.map((note) => note.what).join(",") || "handled",
        },
        "message",
      );
      return;
  }
}

/** Ids in one log line. */
const idsLogged = 20;

/** The first ids, each once. */
function firstOf<T>(items: readonly T[], idOf: (item: T) => string | undefined): string[] {
  const ids = new Set<string>();
  for (const item of items) {
    const id = idOf(item);
    if (id !== undefined) ids.add(id);
    if (ids.size === idsLogged) break;
  }
  return [...ids];
}
