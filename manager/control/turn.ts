/** One step in the making: what it has changed, said and answered so far. */
import type { Dice, Now } from "../../schema/given.ts";
import type { EventKind } from "../../schema/event.ts";
import type { DownItem } from "../../schema/messages.ts";
import type { Problem, ProblemCode } from "../../schema/problem.ts";
import type { Change } from "./changes.ts";
import { asOfOf } from "./commands.ts";
import type { Asker } from "./inputs.ts";
import type { Answer, Command, Note, Outcome, Step } from "./outputs.ts";
import type { ControlState, WorkerCell } from "./state.ts";

export interface Turn {
  readonly state: ControlState;
  readonly now: Now;
  readonly dice: Dice;
  readonly changes: Change[];
  readonly items: Map<WorkerCell, DownItem[]>;
  /** Commands for epochs that are not a worker's current one: refusals and questions. */
  readonly strange: Command[];
  readonly answers: Answer[];
  readonly notes: Note[];
}

export function makeTurn(state: ControlState, now: Now, dice: Dice): Turn {
  return { state, now, dice, changes: [], items: new Map(), strange: [], answers: [], notes: [] };
}

/** The step as the shell sees it. `asOf` is the newest mono heard up to now (rule 5). */
export function finishTurn(turn: Turn): Step {
  const commands: Command[] = [...turn.strange];
  for (const [worker, items] of turn.items) {
    const asOf = asOfOf(turn.state, worker.row.id);
    if (asOf) commands.push({ workerId: worker.row.id, asOf, items });
  }
  return { changes: turn.changes, commands, answers: turn.answers, notes: turn.notes };
}

/** One more item for a worker, in order. */
export function send(turn: Turn, worker: WorkerCell, item: DownItem): void {
  worker.spokenMono = turn.now.mono;
  const items = turn.items.get(worker);
  if (items) items.push(item);
  else turn.items.set(worker, [item]);
}

export function note(turn: Turn, what: string, more: Omit<Note, "what"> = {}): void {
  turn.notes.push({ what, ...more });
}

export function answer(turn: Turn, ticket: number, outcome: Outcome): void {
  turn.answers.push({ ticket, outcome });
}

export function answerProblem(turn: Turn, ticket: number, said: Problem): void {
  turn.answers.push({ ticket, outcome: { kind: "problem", problem: said } });
}

/** A problem as a value; the core throws none. */
export function sayProblem(code: ProblemCode, detail: string, more: Omit<Problem, "code" | "detail"> = {}): Problem {
  return { code, detail, ...more };
}

export interface EventAbout {
  readonly taskId?: string | null;
  readonly runId?: string | null;
  readonly attemptId?: string | null;
  readonly workerId?: string | null;
  readonly asker?: Asker | null;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** One more line of history, numbered within the pool. */
export function emit(turn: Turn, kind: EventKind, about: EventAbout): void {
  const { state } = turn;
  state.lastEvent += 1;
  const reason = about.asker?.byReason;
  turn.changes.push({
    op: "insertEvent",
    row: {
      pool: state.options.pool,
      number: state.lastEvent,
      at: turn.now.wall,
      kind,
      taskId: about.taskId ?? null,
      runId: about.runId ?? null,
      attemptId: about.attemptId ?? null,
      workerId: about.workerId ?? null,
      by: about.asker?.by ?? null,
      data: reason ? { ...about.data, reason } : (about.data ?? {}),
    },
  });
}
