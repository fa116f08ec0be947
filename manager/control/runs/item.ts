/** The start item of the wire: everything that a worker needs to run an attempt. */
import { requestLimits, wireLimits } from "../../../schema/limits.ts";
import type { StartItem } from "../../../schema/messages.ts";
import type { Params } from "../../../schema/task.ts";
import { buildTicket } from "../../../schema/ticket.ts";
import type { AttemptCell, ControlState } from "../state.ts";
import type { CompiledVersion } from "../versions.ts";

/** Ids, numbers, ticket and names of a start item, generously. */
const frameBytes = 2_048;
/** What JSON may make of one byte of a parameter: `\u0001`. */
const escapedBytes = 6;

/**
 * Bytes that the start of a run with these parameters takes on the wire: exact when they come near the bound, an upper bound
 * while they are far below it (this is asked for each start).
 */
export function startBytes(version: CompiledVersion, params: Params): number {
  let chars = 0;
  for (const [name, value] of Object.entries(params)) chars += name.length + value.length + 16;
  const most = frameBytes + version.inlineBytes + chars * escapedBytes;
  if (most <= wireLimits.startInlineBytes) return most;
  return frameBytes + version.inlineBytes + Buffer.byteLength(JSON.stringify(paramEnv(params)));
}

/** The variables `PARAM_<name>` of a run. */
function paramEnv(params: Params): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(params)) env[`PARAM_${name}`] = value;
  return env;
}

/** The item for one attempt; the same attempt gives the same item, whenever it is sent again. */
export function startItemOf(state: ControlState, attempt: AttemptCell, version: CompiledVersion): StartItem {
  const { row, worker } = attempt;
  const run = attempt.run.row;
  const { definition, record } = version;
  const { sign, limits } = state.options;
  const http = worker.row.http === true;
  const own = { ...paramEnv(run.params), MUSTER_RUN_ID: run.id, MUSTER_ATTEMPT: String(row.number), TRACEPARENT: run.trace };
  const holder = { worker: row.workerId, attempt: row.id };
  return {
    kind: "start",
    attempt: row.id,
    run: run.id,
    number: row.number,
    task: run.taskId,
    version: run.taskVersion,
    driver: version.driver,
    ...(record.body
      ? {
          body: {
            path: `/bodies/${record.body.sha256}`,
            sha256: record.body.sha256,
            size: record.body.size,
            ticket: buildTicket({ direction: "get", ...holder, sha256: record.body.sha256 }, sign),
          },
          env: own,
        }
      : { spec: definition.run, env: { ...definition.env, ...own } }),
    timeoutSeconds: definition.timeoutSeconds,
    killGraceSeconds: definition.killGraceSeconds,
    onLost: definition.onLost,
    ...(definition.onLost === "retry" ? { lostAfterSeconds: definition.lostAfterSeconds } : {}),
    requires: definition.requires,
    limits: {
      logStreamBytes: limits.logStreamBytes,
      resultBytes: http ? requestLimits.resultBytes : requestLimits.inlineResultBytes,
    },
    trace: run.trace,
    ttlMs: state.settings.startTtlMs,
    ...(http ? { resultTicket: buildTicket({ direction: "put", ...holder, maxBytes: requestLimits.resultBytes }, sign) } : {}),
  };
}
