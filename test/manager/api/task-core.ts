/** What the core does with a task, as far as the tests of the API look at it. */
import type { Outcome } from "../../../manager/control/outputs.ts";
import type { Request as PlaneRequest } from "../../../manager/control/inputs.ts";
import type { TaskInput } from "../../../schema/task.ts";
import type { TaskView } from "../../../schema/task-view.ts";
import { expect } from "vitest";
import { refuse, type Rig } from "./kit.ts";
import { taskOf, taskRow, versionRow } from "./rows.ts";

/** Answers requests about tasks from the rig's own store. */
export function tasksOf(r: Rig): (pool: string, request: PlaneRequest) => Promise<Outcome> {
  return async (_, request): Promise<Outcome> => {
    switch (request.kind) {
      case "createTask":
      case "putTaskByName": {
        const { name, pool, labels } = request.store.definition;
        const known = await r.store.taskByName(pool, name);
        if (known)
          return { kind: "task", task: known, version: versionRow({ taskId: known.id, ...request.store }), created: false };
        const row = taskRow({ id: request.id, name, pool, labels });
        const version = versionRow({ taskId: request.id, ...request.store, by: request.by, byReason: request.byReason });
        await r.commit({ op: "insertTask", row }, { op: "insertVersion", row: version });
        return { kind: "task", task: row, version, created: true };
      }
      case "changeTask": {
        const now = await r.store.task(request.taskId);
        if (!now) throw refuse("not-found", "no task");
        if (request.expectedVersion !== null && request.expectedVersion !== now.version)
          throw refuse("version-changed", "changed");
        const row = { ...now, version: now.version + 1, name: request.store.definition.name };
        const version = versionRow({
          taskId: now.id,
          version: row.version,
          ...request.store,
          by: request.by,
          byReason: request.byReason,
        });
        await r.commit(
          { op: "updateTask", id: now.id, set: { version: row.version, name: row.name } },
          { op: "insertVersion", row: version },
        );
        return { kind: "task", task: row, version, created: false };
      }
      case "deleteTask":
        return { kind: "deleted" };
      case "stopTask":
        return { kind: "stopping", runs: 3 };
      case "startRun":
      case "startRuns":
      case "rerun":
      case "stopRun":
      case "signalRun":
      case "drainWorker":
      case "labelWorker":
      case "deleteWorker":
      case "releasePool":
        throw new Error(`unexpected ${request.kind}`);
    }
  };
}

/** Creates a task through the API. */
export async function createTask(r: Rig, input: TaskInput = taskOf()): Promise<TaskView> {
  const response = await r.call("POST", "/tasks", { body: input });
  expect(response.status).toBe(201);
  return (await response.json()) as TaskView;
}
