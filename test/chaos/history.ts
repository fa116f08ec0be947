/**
 * What happened in a system under test, as it could be seen from outside, one JSON line each: what clients asked and were told,
 * what the started processes wrote down, what went over the broker, and what the API said in the end. The checker reads nothing
 * else, so a history can be judged again long after its system is gone.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { End } from "../../schema/end.ts";
import type { RunState, RunView } from "../../schema/run.ts";
import { WrongUse } from "../kit/flags.ts";

/** What a task's runs may do; told by the scenario, never read from the system. */
export interface Policy {
  readonly taskId: string;
  /** Processes that one run may have started, over all its attempts. */
  readonly mostStarts: number;
  /** Whether two attempts of one run may run at once (`attemptOverlap: allow`). */
  readonly mayOverlap: boolean;
  /** Whether `lost` is a true end of its runs: the scenario took away what could have known better. */
  readonly mayBeLost: boolean;
}

/** One start that a client asks for. `tag` is unique in the history and travels as the run's label `tag`; a repeated request has the same. */
export interface AskedStart {
  readonly tag: string;
  readonly taskId: string;
  readonly key: string | null;
}

/** What became of one asked start. `code` is that of the problem, if it was one. */
export interface AnsweredStart {
  readonly status: number;
  readonly runId: string | null;
  readonly code: string | null;
}

export interface WitnessLine {
  readonly runId: string;
  readonly attempt: number;
  readonly pid: number;
  /** Null: it says that it starts. */
  readonly code: number | null;
}

/** A run as the API showed it. */
export type ReadRun = Pick<RunView, "id" | "taskId" | "end" | "labels" | "workerId"> & {
  readonly state: RunState;
  readonly attempts: readonly Pick<RunView["attempts"][number], "id" | "number" | "workerId" | "state" | "end">[];
};

/** A message that went over the broker. */
export type Heard =
  | { readonly kind: "commands" | "reports"; readonly workerId: string; readonly items: readonly HeardItem[] }
  /** Another one; its body is not kept. */
  | { readonly kind: "message"; readonly topic: string; readonly bytes: number };

export interface HeardItem {
  readonly kind: string;
  readonly attempt?: string;
  readonly end?: End;
}

export type Happening =
  | { readonly kind: "policy"; readonly policy: Policy }
  /** A request goes out; `call` is its number, and that of what becomes of it. */
  | { readonly kind: "asked"; readonly call: number; readonly starts: readonly AskedStart[] }
  /** It was answered, start by start. */
  | { readonly kind: "answered"; readonly call: number; readonly starts: readonly AnsweredStart[] }
  /** Nobody answered it: nobody knows whether it was taken. */
  | { readonly kind: "failed"; readonly call: number; readonly why: string }
  /** The API showed a run. */
  | { readonly kind: "read"; readonly run: ReadRun }
  /** All runs that there are, after everything was over. The reads that came since the last `listing` are these runs. */
  | { readonly kind: "listing"; readonly runIds: readonly string[] }
  | { readonly kind: "witness"; readonly line: WitnessLine }
  /** A process of a run that was over, alive after everything. */
  | { readonly kind: "leftover"; readonly runId: string; readonly pid: number }
  | Heard
  /** Something was done to the system. */
  | { readonly kind: "fault"; readonly what: string }
  /** All that was done to the system has been undone. */
  | { readonly kind: "healed" };

/** `at`: milliseconds of the recording process's own clock. */
export type HistoryLine = Happening & { readonly at: number };

/** Writes a history down as it happens. */
export class History implements Disposable {
  readonly file: string;
  readonly #fd: number;
  #calls = 0;

  constructor(file: string) {
    this.file = file;
    this.#fd = openSync(file, "a");
  }

  note(happening: Happening): void {
    writeSync(this.#fd, `${JSON.stringify({ at: Math.round(performance.now()), ...happening })}\n`);
  }

  /** The number of a request that is about to go out. */
  nextCall(): number {
    this.#calls += 1;
    return this.#calls;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/**
 * Reads a history back, in the order in which it was written.
 *
 * @throws {WrongUse} when it cannot be read, or is none.
 */
export function readHistory(file: string): HistoryLine[] {
  const lines = textOf(file)
    .split("\n")
    .filter((line) => line !== "");
  if (lines.length === 0) throw new WrongUse(`${file} is no history: it is empty`);
  return lines.map((line, at) => {
    const read = readLine(line);
    if (read === undefined) throw new WrongUse(`${file} is no history: line ${at + 1} is not one of its lines`);
    return read;
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new WrongUse(`the history cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function readLine(line: string): HistoryLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "kind" in value ? (value as HistoryLine) : undefined;
  } catch {
    return undefined;
  }
}

/** `<run> <attempt number> <pid> start`, or `… end <code>`; undefined for anything else (a torn line of a full disk). */
export function readWitnessLine(text: string): WitnessLine | undefined {
  const match = /^(\S+) (\d+) (\d+) (?:start|end (\d+))$/.exec(text);
  if (!match) return undefined;
  const [, runId = "", attempt, pid, code] = match;
  return { runId, attempt: Number(attempt), pid: Number(pid), code: code === undefined ? null : Number(code) };
}
