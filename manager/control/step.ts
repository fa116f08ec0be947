/** One input, one step: the switch that says who decides what. */
import type { Dice, Now } from "../../schema/given.ts";
import { beginBatch } from "./batch.ts";
import { holdForLostHistory } from "./recovery/hold.ts";
import type { Input, Request } from "./inputs.ts";
import { takeHello } from "./fleet/hello.ts";
import { takeHeartbeat, takeStatus } from "./fleet/liveness.ts";
import type { Step } from "./outputs.ts";
import { placeAll } from "./queue/place.ts";
import { releasePool } from "./recovery/release-pool.ts";
import { takeReports } from "./runs/reports.ts";
import { rerun, startRun, startRuns } from "./requests/starts.ts";
import type { ControlState } from "./state.ts";
import { continueSweeps, deleteTask, signalRun, stopRun, stopTask } from "./requests/stops.ts";
import { changeTask, createTask, putTaskByName } from "./requests/tasks.ts";
import { noteTime, takeTick } from "./tick.ts";
import { finishTurn, makeTurn, type Turn } from "./turn.ts";
import { deleteWorker, drainWorker, labelWorker } from "./requests/workers.ts";

/**
 * Decides one input. Changes the state in place; what it returns may be let out only once its changes are durable. Before it,
 * `needsOf` must have come to have no more needs. An answer may belong to the ticket of an earlier step: stopping a task of
 * very many runs takes several batches. Throws only when the core itself is wrong.
 */
export function step(state: ControlState, input: Input, now: Now, dice: Dice): Step {
  beginBatch(state);
  const turn = makeTurn(state, now, dice);
  noteTime(turn);
  switch (input.kind) {
    case "request":
      takeRequest(turn, input.ticket, input.request);
      break;
    case "hello":
      takeHello(turn, input.workerId, input.message);
      break;
    case "reports":
      takeReports(turn, input.workerId, input.message);
      break;
    case "heartbeat":
      takeHeartbeat(turn, input.workerId, input.message);
      break;
    case "status":
      takeStatus(turn, input.workerId, input.message);
      break;
    case "takenBack":
      holdForLostHistory(turn, input.why);
      break;
    case "tick":
      takeTick(turn);
      break;
    case "place":
      continueSweeps(turn);
      placeAll(turn);
      state.batchEnded = true;
      break;
  }
  return finishTurn(turn);
}

function takeRequest(turn: Turn, ticket: number, request: Request): void {
  switch (request.kind) {
    case "createTask":
      return createTask(turn, ticket, request);
    case "putTaskByName":
      return putTaskByName(turn, ticket, request);
    case "changeTask":
      return changeTask(turn, ticket, request);
    case "deleteTask":
      return deleteTask(turn, ticket, request);
    case "startRun":
      return startRun(turn, ticket, request);
    case "startRuns":
      return startRuns(turn, ticket, request);
    case "rerun":
      return rerun(turn, ticket, request);
    case "stopRun":
      return stopRun(turn, ticket, request);
    case "stopTask":
      return stopTask(turn, ticket, request);
    case "signalRun":
      return signalRun(turn, ticket, request);
    case "drainWorker":
      return drainWorker(turn, ticket, request);
    case "labelWorker":
      return labelWorker(turn, ticket, request);
    case "deleteWorker":
      return deleteWorker(turn, ticket, request);
    case "releasePool":
      return releasePool(turn, ticket, request);
  }
}
