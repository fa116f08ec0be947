import type { Request, StartItem } from "../control/inputs.ts";

/** A run's row, its event and its key, without what the client gave. */
const runBytes = 1_500;
const plainBytes = 500;

/** About how much of a batch a request takes, in bytes: what bounds a commit and what may wait. Cheap for a start, the hot one. */
export function requestBytes(request: Request): number {
  switch (request.kind) {
    case "startRun":
      return startBytes(request.item);
    case "startRuns":
      return request.items.reduce((sum, item) => sum + startBytes(item), 0);
    case "createTask":
    case "putTaskByName":
    case "changeTask":
      return plainBytes + JSON.stringify(request.store.definition).length;
    case "deleteTask":
    case "rerun":
    case "stopRun":
    case "stopTask":
    case "signalRun":
    case "drainWorker":
    case "labelWorker":
    case "deleteWorker":
    case "releasePool":
      return plainBytes;
  }
}

function startBytes(item: StartItem): number {
  return runBytes + textBytes(item.params) + textBytes(item.labels);
}

function textBytes(map: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const key in map) bytes += key.length + (map[key] as string).length + 6;
  return bytes;
}
