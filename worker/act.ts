/** Does what the core wants, one action at a time; each returns at once and tells the core later what became of it. */
import type { AgentAction, AgentInput, ResultFound } from "./agent/types.ts";
import { fetchStartBody, uploadResult, type BodiesDeps } from "./bodies.ts";
import { prepareLaunch, type LaunchDeps } from "./launch.ts";
import type { Link } from "./link.ts";
import type { LogShipper } from "./logs/shipper.ts";
import type { ProcessHost, ProcessListener } from "./process/host.ts";
import { boundedSentence } from "../schema/end.ts";
import { reached } from "../schema/kit/failpoint.ts";
import type { Log } from "../schema/kit/log.ts";
import { workerLimits } from "../schema/limits.ts";

export interface ActDeps {
  readonly put: (input: AgentInput) => void;
  readonly link: Pick<Link, "publish" | "restFor">;
  readonly host: ProcessHost;
  readonly logs: LogShipper;
  readonly launch: LaunchDeps;
  /** Null: this worker has no HTTP way to the manager. */
  readonly bodies: BodiesDeps | null;
  /** How long a body may be fetched; after that the start that it belongs to is stale. */
  readonly fetchWithinMs: number;
  /** The manager wants this agent to come back with a journal of its own making. */
  readonly newJournal: (afterMs: number) => void;
  /** Milliseconds of the host's boot-time clock. */
  readonly monoMs: () => number;
  /** Aborts when the agent goes: fetches and uploads end. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Returns the performer of actions. */
export function actions(deps: ActDeps): (action: AgentAction) => void {
  const { host, logs, link, log } = deps;
  const fetching = lanes(workerLimits.fetchesAtOnce);
  return (action) => {
    switch (action.action) {
      case "publish":
        reached("s11", action.message);
        void link.publish(action.what, action.message);
        return;
      case "fetchBody":
        void fetching(() => fetchBody(deps, action));
        return;
      case "launch":
        launch(deps, action);
        return;
      case "terminate":
        host.terminate(action.attempt);
        return;
      case "kill":
        host.kill(action.attempt);
        return;
      case "signal":
        host.signal(action.attempt, action.signal);
        return;
      case "deadlines":
        host.setDeadlines(action.attempt, action.deadlines);
        return;
      case "logsAck":
        logs.acked(action.attempt, action.stream, action.offset);
        return;
      case "logsAgain":
        logs.again();
        return;
      case "settled":
        logs.settle(action.attempt);
        return;
      case "disconnect":
        log.error(
          { why: action.why, retryAfterMs: action.retryAfterMs, newJournal: action.newJournal },
          "the manager refuses this worker",
        );
        if (action.newJournal) deps.newJournal(action.retryAfterMs);
        else void link.restFor(action.retryAfterMs);
        return;
      case "note":
        log.info({ attemptId: action.attempt, detail: action.detail }, action.what);
        return;
    }
  };
}

/** What the process host tells, as inputs of the core; a large result is uploaded before its end is told. */
export function listener(deps: {
  readonly put: (input: AgentInput) => void;
  readonly logs: () => LogShipper;
  readonly bodies: BodiesDeps | null;
  readonly ticketOf: (attempt: string) => string | undefined;
  readonly signal: AbortSignal;
}): ProcessListener {
  const { put } = deps;
  const uploading = lanes(workerLimits.uploadsAtOnce);
  const upload = async (
    attempt: string,
    { file, size }: { readonly file: string; readonly size: number },
  ): Promise<ResultFound> => {
    const ticket = deps.ticketOf(attempt);
    if (!deps.bodies || ticket === undefined) {
      return {
        kind: "bad",
        why: "the result is larger than travels in a report, and this worker has no HTTP way to the manager",
      };
    }
    return await uploadResult(deps.bodies, { attempt, file, size, ticket }, deps.signal);
  };
  return {
    started: (event) => put({ kind: "started", ...event }),
    notStarted(event) {
      deps.logs().ended(event.attempt);
      put({ kind: "notStarted", ...event });
    },
    ended(event) {
      deps.logs().ended(event.attempt);
      const { result } = event;
      if (result.kind !== "toUpload") {
        put({ kind: "ended", ...event, result });
        return;
      }
      void uploading(async () => {
        const uploaded = await upload(event.attempt, result);
        // An agent that leaves says nothing of this end: the next one finds the result file again.
        if (!deps.signal.aborted) put({ kind: "ended", ...event, result: uploaded });
      });
    },
    progress: (event) => put({ kind: "progress", ...event }),
  };
}

/** A launch that a full journal or a paused host held back may be stale by now (rule 6). */
function launch(deps: ActDeps, action: AgentAction & { readonly action: "launch" }): void {
  const { order } = action;
  if (deps.monoMs() >= action.freshUntilMono) {
    deps.put({ kind: "notStarted", attempt: order.attempt, how: "refused", why: "stale: it could not be launched in time" });
    return;
  }
  const prepared = prepareLaunch(order, action.deadlines, deps.launch);
  if ("why" in prepared) {
    deps.put({ kind: "notStarted", attempt: order.attempt, how: "failedToStart", why: prepared.why });
    return;
  }
  deps.logs.track(order.attempt, order.limits.logStreamBytes);
  reached("s07", order);
  deps.host.launch(prepared);
}

async function fetchBody(deps: ActDeps, action: AgentAction & { readonly action: "fetchBody" }): Promise<void> {
  const { attempt, body } = action;
  try {
    if (!deps.bodies) throw new Error("this worker has no MUSTER_MANAGER_URL to fetch it from");
    const { spec, env } = await fetchStartBody(
      deps.bodies,
      { ...body, traceparent: deps.bodies.contextOf?.(attempt) },
      deps.fetchWithinMs,
      deps.signal,
    );
    deps.put({ kind: "bodyFetched", attempt, spec, env });
  } catch (error) {
    deps.put({ kind: "bodyFailed", attempt, why: boundedSentence(error instanceof Error ? error.message : String(error)) });
  }
}

/** Runs at most `most` pieces of work at once; the others wait in order. The work itself must not reject. */
function lanes(most: number): (work: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = [];
  let busy = 0;
  return async (work) => {
    if (busy >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    busy += 1;
    try {
      await work();
    } finally {
      busy -= 1;
      waiting.shift()?.();
    }
  };
}
