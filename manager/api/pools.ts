/** Which pool a task or a run belongs to: requests go to the leader of that pool. A thing never changes its pool. */
import { managerLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import type { ControlPlane } from "../plane.ts";
import type { ReadStore } from "../store/store.ts";
import { notTakenFor } from "./store-trouble.ts";

export interface PoolFinder {
  /** Throws 404 when there is no such task. Where there is one pool nothing is read: the core itself says what is missing. */
  ofTask(taskId: string): Promise<string>;
  ofRun(runId: string): Promise<string>;
  ofWorker(workerId: string): Promise<string>;
  /** Throws 422 when no manager of this database serves the pool. */
  mustBeLed(pool: string): Promise<void>;
}

/** A finder that keeps what it found, as many as the task cache holds. */
export function makePoolFinder(
  plane: Pick<ControlPlane, "pools" | "serves" | "alone" | "trouble">,
  store: Pick<ReadStore, "task" | "run" | "worker">,
): PoolFinder {
  const kept = new Map<string, string>();
  const keep = (taskId: string, pool: string): string => {
    if (kept.size >= managerLimits.taskCache) kept.clear();
    kept.set(taskId, pool);
    return pool;
  };
  // Beside other managers there may be pools that this one does not serve.
  const only = (): string | undefined => (plane.alone && plane.pools.length === 1 ? plane.pools[0] : undefined);
  /** Nothing has been asked for yet: trouble of the store means that nothing was taken. */
  const asked = async <T>(read: () => Promise<T>): Promise<T> => {
    const { trouble } = plane;
    if (trouble !== undefined)
      throw problem("not-taken", `the database does not take writes now: ${trouble}`, { retryAfterSeconds: 2 });
    return await read().catch((error: unknown) => {
      throw notTakenFor(error);
    });
  };
  return {
    async ofTask(taskId) {
      const known = only() ?? kept.get(taskId);
      if (known !== undefined) return known;
      const task = await asked(() => store.task(taskId));
      if (!task) throw problem("not-found", `no task with id ${taskId}`);
      return keep(taskId, task.pool);
    },
    async ofRun(runId) {
      const known = only();
      if (known !== undefined) return known;
      const found = await asked(() => store.run(runId));
      if (!found) throw problem("not-found", `no run with id ${runId}`);
      return found.run.pool;
    },
    async ofWorker(workerId) {
      const worker = await asked(() => store.worker(workerId));
      if (!worker) throw problem("not-found", `no worker with id ${workerId}`);
      return worker.pool;
    },
    async mustBeLed(pool) {
      if (plane.pools.includes(pool) || (await asked(() => plane.serves(pool)))) return;
      throw problem("impossible", `no manager here leads the pool ${pool}; there is ${plane.pools.join(", ")}`, {
        errors: [{ at: "/pool", message: `must be one of ${plane.pools.join(", ")}` }],
      });
    },
  };
}
