/** Everything that the manager's core may want done. The shell commits `changes` first and only then lets the rest out. */
import type { AsOf, DownItem } from "../../schema/messages.ts";
import type { Problem } from "../../schema/problem.ts";
import type { Change } from "./changes.ts";
import type { RunRecord, TaskRecord, TaskVersionRecord, WorkerRecord } from "./records.ts";

/** Items for one worker, in order. `asOf` is fixed here and confirmed by the commit that covers this step (rule 5). */
export interface Command {
  readonly workerId: string;
  readonly asOf: AsOf;
  readonly items: readonly DownItem[];
}

export type ItemOutcome =
  | { readonly ok: true; readonly run: RunRecord; /** An earlier request with this key made it. */ readonly repeated: boolean }
  | { readonly ok: false; readonly problem: Problem };

export type Outcome =
  | { readonly kind: "task"; readonly task: TaskRecord; readonly version: TaskVersionRecord; readonly created: boolean }
  | { readonly kind: "deleted" }
  | { readonly kind: "run"; readonly run: RunRecord; readonly repeated: boolean }
  | { readonly kind: "runs"; readonly items: readonly ItemOutcome[] }
  /** Of `stopTask`: how many runs were asked to stop. */
  | { readonly kind: "stopping"; readonly runs: number }
  | { readonly kind: "worker"; readonly worker: WorkerRecord }
  /** Of `releasePool`: whether anything was held. */
  | { readonly kind: "released"; readonly changed: boolean };

export interface Answer {
  readonly ticket: number;
  readonly outcome: Outcome | { readonly kind: "problem"; readonly problem: Problem };
}

/** What one step wants. `answers` and `commands` may be let out only after `changes` are durable. */
export interface Step {
  readonly changes: readonly Change[];
  readonly commands: readonly Command[];
  readonly answers: readonly Answer[];
  /** Counts of things worth a metric and a log line: messages dropped, duplicates answered, reports set aside. */
  readonly notes: readonly Note[];
}

/** Something worth counting that changes nothing. `what` is a fixed word, `detail` one sentence. */
export interface Note {
  readonly what: string;
  readonly workerId?: string;
  readonly runId?: string;
  readonly attemptId?: string;
  readonly detail?: string;
}
