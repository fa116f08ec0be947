/** The API as one Hono app. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Dice } from "../../schema/given.ts";
import { apiLimits, managerLimits, timing } from "../../schema/limits.ts";
import { problem, ProblemError } from "../../schema/problem.ts";
import { answer, targetOf, type Target } from "./answer.ts";
import type { ApiDeps, ApiLimits, ApiParts } from "./deps.ts";
import { baseHeaders } from "./headers.ts";
import { makeHealth } from "./health-view.ts";
import { makeEventHub } from "./hub.ts";
import { makePoolFinder } from "./pools.ts";
import { makeRateLimiter } from "./rate.ts";
import type { ApiProblem } from "./problem.ts";
import type { AnyRoute } from "./route.ts";
import { routes } from "./routes.ts";
import { makeSessions } from "./sessions.ts";
import { makeStreamBook } from "./streams.ts";

/** The app; `endStreams` lets go of everybody who follows something, for a close that need not wait for them. */
export type Api = OpenAPIHono & { readonly endStreams: () => void; readonly openStreams: () => number };

const defaults: ApiLimits = {
  requestsPerSecondPerToken: managerLimits.requestsPerSecondPerToken,
  requestBurstPerToken: managerLimits.requestBurstPerToken,
  sseClients: managerLimits.sseClients,
  sseBufferBytes: managerLimits.sseBufferBytes,
  streamBeatMs: apiLimits.streamBeatMs,
  streamRecheckMs: apiLimits.streamRecheckMs,
  workerLostAfterSeconds: (timing.heartbeatMs * timing.workerLostIntervals) / 1_000,
};

/** Makes the app over what it is given. It listens to the plane's events until `endStreams`. */
export function makeApp(deps: ApiDeps): Api {
  const parts = partsOf(deps);
  // The library's own validators are passed by: they know neither of our problems nor of bodies that are counted while they
  // come, and cost a fifth of the requests per second. Its registry makes the document (openapi.ts).
  const app = new OpenAPIHono();
  for (const route of routes) {
    const target = targetOf(route);
    app.on([route.spec.method.toUpperCase()], [route.spec.path.replaceAll(/\{(\w+)\}/g, ":$1")], (c) =>
      answer(parts, target, c.req.raw, () => c.req.param()),
    );
  }
  const nothing = nothingThere(routes);
  app.notFound((c) => answer(parts, nothing, c.req.raw, () => ({})));
  return Object.assign(app, {
    openStreams: () => parts.streams.size,
    endStreams: () => {
      parts.hub.close();
      parts.streams.closeAll();
    },
  });
}

function partsOf(deps: ApiDeps): ApiParts {
  const limits = { ...defaults, ...deps.limits };
  const secure = deps.publicUrl !== null && new URL(deps.publicUrl).protocol === "https:";
  return {
    ...deps,
    routes,
    limits,
    secure,
    requestId: makeRequestIds(deps.dice),
    headers: baseHeaders(secure),
    hub: makeEventHub(deps.plane),
    streams: makeStreamBook(limits.sseClients),
    sessions: makeSessions(deps.store, deps.clock, deps.dice),
    rate: makeRateLimiter(deps.clock, limits.requestsPerSecondPerToken, limits.requestBurstPerToken),
    signIns: makeRateLimiter(deps.clock, apiLimits.sessionPostsPerSecond, apiLimits.sessionPostBurst),
    health: makeHealth(deps, apiLimits.healthKeptMs),
    pools: makePoolFinder(deps.plane, deps.store),
  };
}

/** Unique, not secret: a random beginning per process and a count, because chance is dear at this rate. */
function makeRequestIds(dice: Dice): () => string {
  const begin = dice.id().slice(-12);
  let count = 0;
  return () => `${begin}-${(count += 1).toString(36)}`;
}

/** Answers what no route covers: to strangers that a token is needed, to others 405 with `Allow`, or 404. */
function nothingThere(all: readonly AnyRoute[]): Target {
  const patterns = all.map(({ spec }) => ({
    method: spec.method.toUpperCase(),
    pattern: new RegExp(`^${spec.path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
  }));
  return {
    pattern: "none",
    isRoute: false,
    permission: "session",
    handle({ request }) {
      const { pathname } = new URL(request.url);
      const methods = patterns.filter(({ pattern }) => pattern.test(pathname)).map(({ method }) => method);
      if (methods.length === 0)
        throw problem("not-found", `there is nothing at ${pathname.slice(0, 200)}; /docs lists what there is`);
      const allow = [...new Set(methods.includes("GET") ? [...methods, "HEAD"] : methods)].toSorted().join(", ");
      const refusal: ApiProblem = {
        code: "method-not-allowed",
        detail: `${request.method} is not allowed here; ${allow} ${allow.includes(",") ? "are" : "is"}`,
        allow,
      };
      throw new ProblemError(refusal);
    },
  };
}
