/** Whether this manager is alive, ready, and well. Open to all, so it tells states and sentences but no names of things. */
import { z } from "zod";
import { apiLimits } from "../../schema/limits.ts";
import type { ApiParts } from "./deps.ts";
import { json, route, type AnyRoute } from "./route.ts";
import { instant } from "./views.ts";

const tag = "health";
const status = z.enum(["pass", "warn", "fail"]);

export const healthView = z.strictObject({
  status,
  version: z.string(),
  checks: z.array(z.strictObject({ name: z.string(), status, sentence: z.string() })),
  alarms: z.array(z.strictObject({ kind: z.string(), since: z.iso.datetime(), sentence: z.string() })),
});
type HealthView = z.infer<typeof healthView>;

const kept = new WeakMap<ApiParts, { readonly at: number; readonly view: Promise<HealthView> }>();

/** Checks may cost something and anybody may ask: within `healthKeptMs` all are given the same answer. */
function healthOf(parts: ApiParts): Promise<HealthView> {
  const at = parts.clock.now().mono;
  const last = kept.get(parts);
  if (last && at - last.at < apiLimits.healthKeptMs) return last.view;
  const view = readHealth(parts);
  kept.set(parts, { at, view });
  return view;
}

async function readHealth(parts: ApiParts): Promise<HealthView> {
  const checks = await parts.plane.checks().catch((error: unknown) => {
    parts.log.error({ err: error }, "the checks of /health failed");
    return [{ name: "checks", status: "fail" as const, sentence: "the checks themselves failed; the log has the reason" }];
  });
  const alarms = parts.plane
    .alarms()
    .map((alarm) => ({ kind: alarm.kind, since: instant(alarm.since), sentence: alarm.sentence }));
  const worst = checks.some((check) => check.status === "fail")
    ? "fail"
    : checks.some((check) => check.status === "warn") || alarms.length > 0
      ? "warn"
      : "pass";
  return {
    status: worst,
    version: parts.version,
    checks: checks.map(({ name, status: s, sentence }) => ({ name, status: s, sentence })),
    alarms,
  };
}

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
    const view = await healthOf(parts);
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
  ({ parts }) => {
    const { ready, sentence } = parts.plane.ready();
    return json(ready ? 200 : 503, { ready, sentence }, ready ? {} : { "retry-after": "1" });
  },
);

export const healthRoutes: readonly AnyRoute[] = [getHealth, getLive, getReady];
