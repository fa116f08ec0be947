/**
 * The spans of a batch that holds. One commit serves many runs, and each of them shows it as a span of its own, in its own
 * trace, with how many it shared it with (decision 010). They are made when they are over, so nothing is held for them.
 */
import type { End } from "../../schema/end.ts";
import type { Attributes, Tracing } from "../../schema/kit/tracing.ts";
import { messageAttributes, processedName, type Wire } from "../../schema/kit/tracing/messages.ts";
import { tracingLimits } from "../../schema/limits/tracing.ts";
import type { Report, Reports } from "../../schema/messages.ts";
import { isTerminal } from "../../schema/run.ts";
import { isSampled, traceIdOf } from "../../schema/trace.ts";
import type { AttemptRecord, RunRecord } from "../control/records.ts";
import type { Step } from "../control/outputs.ts";
import type { ControlState } from "../control/state.ts";
import type { Waiting } from "../engine/queue.ts";
import type { EngineWatch, HeldBatch } from "../engine/watch.ts";

export interface BatchTracing {
  readonly tracing: Tracing;
  readonly wire: Wire;
  /** The leader's memory of a pool, undefined where this manager does not lead. */
  readonly stateOf: (pool: string) => ControlState | undefined;
}

/** Where a run's commit stands in its trace: below the report that brought the news, or below the request. */
type Parents = ReadonlyMap<string, string>;

export function traceBatches(deps: BatchTracing): EngineWatch {
  const waits = new Waits();
  return {
    held(batch) {
      const committed = new Set<string>();
      for (const [index, step] of batch.steps.entries()) {
        const waiting = batch.taken[index];
        const parents =
          waiting?.input.kind === "reports" ? processed(deps, batch, waiting, waiting.input) : new Map<string, string>();
        if (step.changes.length > 0) new StepSpans(deps, { batch, waits, parents, committed }).of(step);
      }
    },
  };
}

/** Since when runs wait for their next attempt; bounded, and one that is forgotten only lacks its span. */
class Waits {
  readonly #since = new Map<string, number>();

  begin(runId: string, atMs: number): void {
    if (this.#since.size < tracingLimits.waitingRetries) this.#since.set(runId, atMs);
  }

  end(runId: string): number | undefined {
    const since = this.#since.get(runId);
    this.#since.delete(runId);
    return since;
  }
}

interface About {
  readonly batch: HeldBatch;
  readonly waits: Waits;
  readonly parents: Parents;
  /** Runs that have their span of this commit. */
  readonly committed: Set<string>;
}

class StepSpans {
  readonly #deps: BatchTracing;
  readonly #batch: HeldBatch;
  readonly #about: About;

  constructor(deps: BatchTracing, about: About) {
    this.#deps = deps;
    this.#batch = about.batch;
    this.#about = about;
  }

  of(step: Step): void {
    for (const change of step.changes) {
      switch (change.op) {
        case "insertRun":
          if (isSampled(change.row.trace)) this.#commit(change.row);
          break;
        case "insertAttempt":
          this.#placed(change.row);
          break;
        case "updateRun":
          if (change.set.state === undefined) break;
          if (isTerminal(change.set.state)) this.#ended(change.id);
          else if (change.set.state === "queued" || change.set.state === "retrying")
            this.#waitsAgain(change.id, change.set.state);
          break;
        case "insertTask":
        case "updateTask":
        case "insertVersion":
        case "updateAttempt":
        case "insertWorker":
        case "updateWorker":
        case "insertJournal":
        case "updateJournal":
        case "insertEvent":
        case "insertKey":
        case "deleteKeys":
        case "insertSetAside":
        case "insertHold":
        case "updateHold":
        case "deleteHold":
          break;
      }
    }
  }

  #run(runId: string): RunRecord | undefined {
    const state = this.#deps.stateOf(this.#batch.pool);
    // A run that ended in a batch is out of the leader's memory by then, but not out of the batch's.
    const run = state?.runs.get(runId)?.row ?? state?.batch.runs.get(runId);
    return run && isSampled(run.trace) ? run : undefined;
  }

  #placed(row: AttemptRecord): void {
    const run = this.#run(row.runId);
    if (!run) return;
    const { tracing } = this.#deps;
    const sinceMs = this.#about.waits.end(run.id) ?? (row.number === 1 ? run.createdAt : undefined);
    const placedMs = tracing.at(this.#batch.times.placedMs);
    if (sinceMs !== undefined)
      tracing.record({
        name: "wait in queue",
        kind: "internal",
        parent: run.trace,
        // An instant of the store is a whole millisecond, which may lie before the request.
        startMs: Math.min(sinceMs, placedMs),
        endMs: placedMs,
        attributes: { ...runAttributes(run), "muster.attempt.number": row.number, "muster.worker.id": row.workerId },
      });
    this.#commit(run);
  }

  #waitsAgain(runId: string, state: string): void {
    const run = this.#run(runId);
    if (!run) return;
    // From `retrying` it becomes `queued`: one wait.
    if (state === "queued" && this.#about.waits.end(runId) !== undefined) return;
    this.#about.waits.begin(runId, this.#deps.tracing.at(this.#batch.times.inputsMs));
    this.#commit(run);
  }

  #ended(runId: string): void {
    const run = this.#run(runId);
    if (!run) return;
    this.#about.waits.end(runId);
    this.#commit(run);
    const failed = run.state === "failed" || run.state === "timedOut" || run.state === "lost";
    this.#deps.tracing.record({
      name: "run",
      kind: "internal",
      parent: run.trace,
      startMs: run.createdAt,
      endMs: this.#deps.tracing.at(this.#batch.times.heldMs),
      attributes: {
        ...runAttributes(run),
        "muster.task.name": run.taskName,
        "muster.run.state": run.state,
        "muster.run.tries": run.tries,
        ...(run.end ? endAttributes(run.end) : {}),
      },
      ...(failed ? { error: run.state } : {}),
    });
  }

  /** At most one for each run. */
  #commit(run: RunRecord): void {
    if (this.#about.committed.has(run.id)) return;
    this.#about.committed.add(run.id);
    const { times, taken, changes } = this.#batch;
    const { tracing } = this.#deps;
    tracing.record({
      name: "commit",
      kind: "internal",
      parent: this.#about.parents.get(traceIdOf(run.trace) ?? "") ?? run.trace,
      startMs: tracing.at(times.begunMs),
      endMs: tracing.at(times.heldMs),
      attributes: { ...runAttributes(run), "muster.batch.inputs": taken.length, "muster.batch.changes": changes },
    });
  }
}

/** Reports that carry a context: one consumer span for each, from the message's arrival until its batch held. */
function processed(
  deps: BatchTracing,
  batch: HeldBatch,
  waiting: Waiting,
  input: { workerId: string; message: Reports },
): Parents {
  const byContext = new Map<string, Report[]>();
  for (const report of input.message.items) {
    if (!isSampled(report.trace)) continue;
    const group = byContext.get(report.trace);
    if (group) group.push(report);
    else byContext.set(report.trace, [report]);
  }
  const parents = new Map<string, string>();
  const { tracing, wire } = deps;
  for (const [context, reports] of byContext) {
    const span = tracing.open({
      name: processedName(wire, "reports"),
      kind: "consumer",
      parent: context,
      remote: true,
      startMs: tracing.at(waiting.arrivedMs),
      attributes: {
        ...messageAttributes(wire, { operation: "process", kind: "reports", pool: batch.pool, workerId: input.workerId }),
        "messaging.message.body.size": waiting.bytes,
        "muster.attempt.id": reports[0]?.attempt ?? "",
        "muster.reports": reports.map((report) => report.kind),
      },
    });
    span.end({ endMs: tracing.at(batch.times.heldMs) });
    parents.set(traceIdOf(context) ?? "", span.traceparent);
  }
  return parents;
}

function runAttributes(run: RunRecord): Attributes {
  return { "muster.run.id": run.id, "muster.task.id": run.taskId, "muster.pool": run.pool };
}

function endAttributes(end: End): Attributes {
  return { "muster.end.how": end.how, ...(end.how === "exited" ? { "process.exit.code": end.code } : {}) };
}
