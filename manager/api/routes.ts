/** Every route of the API, in the order of the document. */
import { bodyRoutes } from "./bodies.ts";
import { docsRoutes } from "./docs.ts";
import { eventRoutes } from "./events.ts";
import { healthRoutes } from "./health.ts";
import { logRoutes } from "./logs.ts";
import { metricRoutes } from "./metrics.ts";
import type { AnyRoute } from "./route.ts";
import { poolRoutes } from "./pool-routes.ts";
import { runRoutes } from "./runs.ts";
import { sessionRoutes } from "./session.ts";
import { startRoutes } from "./starts.ts";
import { taskEditRoutes } from "./task-edits.ts";
import { taskRoutes } from "./tasks.ts";
import { workerRoutes } from "./workers.ts";

/** The routes, whole: what is not here does not exist. */
export const routes: readonly AnyRoute[] = [
  ...taskRoutes,
  ...taskEditRoutes,
  ...startRoutes,
  ...runRoutes,
  ...logRoutes,
  ...workerRoutes,
  ...poolRoutes,
  ...eventRoutes,
  ...sessionRoutes,
  ...healthRoutes,
  ...metricRoutes,
  ...bodyRoutes,
  ...docsRoutes,
];
