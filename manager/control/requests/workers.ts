/** Requests about workers: drain, undrain, label, remove. */
import { labels as labelsShape } from "../../../schema/task.ts";
import type { Problem } from "../../../schema/problem.ts";
import { stopAttempt } from "../runs/attempts.ts";
import { settleDrain, updateWorker } from "../fleet/drain.ts";
import { closeAttempt, endAsListed, loseRun } from "../runs/ends.ts";
import type { Request } from "../inputs.ts";
import { fenceWaitMs, unproven } from "../runs/loss.ts";
import { dropWorkerTimers, forgetReachable } from "../fleet/reach.ts";
import { isReachable, type WorkerCell } from "../state.ts";
import { answer, answerProblem, emit, sayProblem, send, type Turn } from "../turn.ts";

type Of<K extends Request["kind"]> = Extract<Request, { kind: K }>;

function workerOf(turn: Turn, ticket: number, id: string): WorkerCell | undefined {
  const worker = turn.state.workers.get(id);
  if (worker && worker.row.state !== "removed") return worker;
  answerProblem(turn, ticket, noWorker(turn, id));
  return undefined;
}

function noWorker(turn: Turn, id: string): Problem {
  return sayProblem("not-found", `there is no worker ${id} in pool ${turn.state.options.pool}`);
}

export function drainWorker(turn: Turn, ticket: number, request: Of<"drainWorker">): void {
  const worker = workerOf(turn, ticket, request.workerId);
  if (!worker) return;
  if (worker.row.draining !== request.on) {
    const state = isReachable(worker) ? (request.on ? "draining" : "online") : worker.row.state;
    updateWorker(turn, worker, {
      draining: request.on,
      ...(state === worker.row.state ? {} : { state, stateSince: turn.now.wall }),
    });
    emit(turn, request.on ? "workerDraining" : "workerUndrained", { workerId: worker.row.id, asker: request });
    // Lost on the way it is sent again: each heartbeat tells whether the worker knows.
    if (isReachable(worker)) send(turn, worker, { kind: "drain", on: request.on });
    settleDrain(turn, worker);
  }
  answer(turn, ticket, { kind: "worker", worker: worker.row });
}

/** Replaces the labels that were set through the API; they overlay the worker's own. */
export function labelWorker(turn: Turn, ticket: number, request: Of<"labelWorker">): void {
  const worker = workerOf(turn, ticket, request.workerId);
  if (!worker) return;
  const wrong = labelsShape.safeParse(request.labels);
  if (!wrong.success) {
    answerProblem(turn, ticket, sayProblem("impossible", `the labels cannot be: ${wrong.error.issues[0]?.message ?? "unknown"}`));
    return;
  }
  updateWorker(turn, worker, { apiLabels: request.labels });
  emit(turn, "workerChanged", { workerId: worker.row.id, asker: request, data: { labels: request.labels } });
  answer(turn, ticket, { kind: "worker", worker: worker.row });
}

/** Removes a worker. What lives on it ends `lost` at once; a task with `onLost: retry` still waits for its fence (rule 11). */
export function deleteWorker(turn: Turn, ticket: number, request: Of<"deleteWorker">): void {
  const worker = workerOf(turn, ticket, request.workerId);
  if (!worker) return;
  const live = [...worker.attempts.values()].filter((attempt) => !attempt.orphan);
  if (live.length > 0 && !request.stop) {
    answerProblem(
      turn,
      ticket,
      sayProblem(
        "live-runs",
        `worker ${worker.row.id} has live runs (${live.length}); drain it first, or remove it with ?stop=true`,
      ),
    );
    return;
  }
  let lost = 0;
  for (const attempt of worker.attempts.values()) {
    if (attempt.listedEnd) {
      endAsListed(turn, attempt, attempt.listedEnd, `worker ${worker.row.id} was removed before it was sent`);
      continue;
    }
    stopAttempt(turn, attempt);
    const end = { how: "lost" as const, why: unproven.removed };
    const { run, orphan } = attempt;
    closeAttempt(turn, attempt, end);
    if (orphan) continue;
    lost += 1;
    run.attempt = null;
    loseRun(turn, run, end, {}, fenceWaitMs(turn.state, run));
  }
  forgetReachable(turn.state, worker);
  updateWorker(turn, worker, { state: "removed", stateSince: turn.now.wall, draining: false });
  dropWorkerTimers(worker);
  worker.synced = false;
  emit(turn, "workerRemoved", { workerId: worker.row.id, asker: request, data: { lostAttempts: lost } });
  answer(turn, ticket, { kind: "worker", worker: worker.row });
}
