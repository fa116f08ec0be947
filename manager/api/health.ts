/** Whether this manager is alive, ready, and well. Open to all, so it tells states and sentences but no names of things. */
import * as z from "zod";
import { healthView } from "./health-view.ts";
import { json, route, type AnyRoute } from "./route.ts";

const tag = "health";
const content = { "application/json": healthView };
const example = {
  status: "pass",
  version: "0.1.0",
  checks: [{ name: "store", status: "pass", sentence: "SQLite, the last commit held" }],
  alarms: [],
};

const getHealth = route(
  {
    method: "get",
    path: "/health",
    operationId: "getHealth",
    tag,
    summary: "What is well and what is not",
    permission: "open",
    replies: { 200: { description: "pass or warn", content, example }, 503: { description: "fail", content } },
    problems: [],
  },
  async ({ parts }) => {
    const view = await parts.health();
    return json(view.status === "fail" ? 503 : 200, view);
  },
);

const getLive = route(
  {
    method: "get",
    path: "/livez",
    operationId: "getLive",
    tag,
    summary: "The process answers",
    permission: "open",
    replies: {
      200: {
        description: "it does",
        content: { "application/json": z.strictObject({ live: z.literal(true) }) },
        example: { live: true },
      },
    },
    problems: [],
  },
  () => json(200, { live: true }),
);

const readyView = z.strictObject({ ready: z.boolean(), sentence: z.string() });

const getReady = route(
  {
    method: "get",
    path: "/readyz",
    operationId: "getReady",
    tag,
    summary: "Whether requests would be taken now",
    permission: "open",
    replies: {
      200: {
        description: "they would",
        content: { "application/json": readyView },
        example: { ready: true, sentence: "leads the pool default" },
      },
      503: { description: "they would not, and why", content: { "application/json": readyView } },
    },
    problems: [],
  },
  async ({ parts }) => {
    const { ready, sentence } = await parts.plane.ready();
    return json(ready ? 200 : 503, { ready, sentence }, ready ? {} : { "retry-after": "1" });
  },
);

export const healthRoutes: readonly AnyRoute[] = [getHealth, getLive, getReady];
