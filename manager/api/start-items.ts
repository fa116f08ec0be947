/** What a start request says, as the core takes it: its id, its key, its trace. */
import * as z from "zod";
import { sha256Hex } from "../../schema/digest.ts";
import type { Dice } from "../../schema/given.ts";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem, ProblemError } from "../../schema/problem.ts";
import { labels, params } from "../../schema/task.ts";
import { tracingLimits } from "../../schema/limits/tracing.ts";
import { traceIdOf } from "../../schema/trace.ts";
import type { StartItem } from "../control/inputs.ts";
import type { Call } from "./route.ts";

export const idempotencyKey = z
  .string()
  .regex(
    new RegExp(`^[\\x21-\\x7e]{1,${requestLimits.idempotencyKeyChars}}$`),
    `must be 1 to ${requestLimits.idempotencyKeyChars} visible ASCII characters`,
  );

/** What a start may say. Field defaults are those of the task. */
export const startFields = {
  params: params.default({}).describe("only parameters that the task declares"),
  workerId: id.nullable().default(null).describe("the only worker that may run it"),
  labels: labels.default({}).describe("added to the task's labels on the run"),
};

/** One of many: the task and the key stand in the item, not in address and header. */
export const bulkItem = z.strictObject({ taskId: id, ...startFields, idempotencyKey: idempotencyKey.nullable().default(null) });
type BulkItem = z.output<typeof bulkItem>;

/** A key that an outcome-unknown carried, because the client had none of its own: it names the run that may exist. */
const mintedKey = /^run\.([A-Za-z0-9_-]{22,36})$/;

/** The run id in a minted key; undefined for any other key. */
export function mintedRunId(key: string | null): string | undefined {
  return key === null ? undefined : mintedKey.exec(key)?.[1];
}

/** The Idempotency-Key header; 400 when it is not one. */
export function keyOf(call: Call<unknown, unknown, unknown>): string | null {
  const given = call.header("idempotency-key");
  if (given === undefined) return null;
  const key = idempotencyKey.safeParse(given);
  if (key.success) return key.data;
  const message = key.error.issues[0]?.message ?? "is not a key";
  throw problem("malformed", `Idempotency-Key ${message}`, { errors: [{ at: "Idempotency-Key", message }] });
}

/**
 * An item as the core takes it. A key that an outcome-unknown carried becomes the run's id, any other goes along with a hash
 * of what was asked, which knows the content and not the order of its fields.
 */
export function itemOf(dice: Dice, item: BulkItem, traceFor: TraceFor): StartItem {
  const { idempotencyKey: key, ...rest } = item;
  const minted = mintedRunId(key);
  const runId = minted ?? dice.id();
  return {
    ...rest,
    runId,
    mayExist: minted !== undefined,
    idempotencyKey: minted === undefined ? key : null,
    // Only a key is ever compared with its body.
    bodyHash:
      key === null ? "" : sha256Hex(JSON.stringify([rest.taskId, sorted(rest.params), rest.workerId, sorted(rest.labels)])),
    trace: traceFor(runId),
  };
}

function sorted(map: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The trace of a run. */
export type TraceFor = (runId: string) => string;

/**
 * The traces of the runs that a request makes: below its own span with tracing on, else the one that the caller is in, if it
 * says so (an invalid header is ignored, as W3C asks), else one for each run.
 */
export function traceFor(call: Call<unknown, unknown, unknown>, runs = 1): TraceFor {
  const { span } = call;
  if (span) return runs > tracingLimits.runsPerTrace ? (runId) => span.rootOf(runId, traceOfRun(runId)) : () => span.traceparent;
  const given = call.header("traceparent");
  return given === undefined || traceIdOf(given) === undefined ? traceOfRun : () => given;
}

/** Hex digits of an id of ours: 18 bytes in base64url, an instant of six and twelve of chance. */
const idHexDigits = 36;

/** A trace of the run's own. Made from its id, which is random already: chance costs as much as all the rest of a start here. */
function traceOfRun(runId: string): string {
  const own = Buffer.from(runId, "base64url").toString("hex");
  // A client may give an id of its own, which says nothing about chance.
  const hex = own.length === idHexDigits && !own.endsWith("0".repeat(16)) ? own : sha256Hex(runId);
  return `00-${hex.slice(4, 36)}-${hex.slice(20, 36)}-01`;
}

export interface Keyed {
  readonly runId: string;
  readonly idempotencyKey: string | null;
}

/** An outcome-unknown gets the key to repeat the request with; any other error stays as it is (rule 20). */
export function withKey(error: unknown, start: Keyed): unknown {
  if (!(error instanceof ProblemError) || error.problem.code !== "outcome-unknown") return error;
  return new ProblemError({ ...error.problem, idempotencyKey: keyToRepeat(start) }, { cause: error });
}

/** The client's own key, or one that names the run. */
export function keyToRepeat(start: Keyed): string {
  return start.idempotencyKey ?? `run.${start.runId}`;
}
