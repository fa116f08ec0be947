/** A task's definition on its way into the store and back: large parts become a body of their own. */
import { sha256Hex } from "../../schema/digest.ts";
import { parseConstraint } from "../../schema/constraint.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem, type FieldError } from "../../schema/problem.ts";
import type { RunSpec, TaskDefinition } from "../../schema/task.ts";
import type { DefinitionToStore } from "../control/inputs.ts";
import type { StoredBody, TaskVersionRecord } from "../control/records.ts";
import type { BodyStore } from "../store/store.ts";
import { storeBody } from "./store-trouble.ts";

/** An hour: below it a retry may be asked for by an outage that people would rather sit out (rule 8). */
const shortLossSeconds = 3_600;

/**
 * Checks what the schema cannot (422 for constraints, with positions) and stores `{spec, env}` as a body when it is too
 * large for a row. What the body holds is left out of the definition, so that rows and the leader's memory stay small.
 */
export async function toStore(
  store: BodyStore,
  definition: TaskDefinition,
  workerLostAfterSeconds: number,
): Promise<DefinitionToStore> {
  checkDefinition(definition, workerLostAfterSeconds);
  const bytes = Buffer.from(JSON.stringify({ spec: definition.run, env: definition.env }));
  if (bytes.byteLength <= requestLimits.inlineSpecBytes) return { definition, body: null, script: null };
  const body = { sha256: sha256Hex(bytes), size: bytes.byteLength };
  await storeBody(store, body.sha256, bytes);
  return { definition: { ...definition, run: skeletonOf(definition.run), env: {} }, body, script: scriptOf(definition.run) };
}

/** The definition with everything back in place. */
export async function fromStore(store: BodyStore, version: TaskVersionRecord): Promise<TaskDefinition> {
  if (!version.body) return version.definition;
  const bytes = await store.getBody(version.body.sha256);
  if (!bytes) throw new Error(`the body ${version.body.sha256} of task ${version.taskId} version ${version.version} is missing`);
  const { spec, env } = JSON.parse(Buffer.from(bytes).toString()) as { spec: RunSpec; env: Record<string, string> };
  return { ...version.definition, run: spec, env };
}

/** Digest and size of a script's bytes; null when there is none. */
export function scriptOf(run: RunSpec): StoredBody | null {
  const bytes = scriptBytes(run);
  return bytes ? { sha256: sha256Hex(bytes), size: bytes.byteLength } : null;
}

function scriptBytes(run: RunSpec): Uint8Array | undefined {
  if (!isScript(run)) return undefined;
  if (run.script !== null) return Buffer.from(run.script);
  return run.scriptBase64 === null ? undefined : Buffer.from(run.scriptBase64, "base64");
}

/** True for the script driver; a name alone does not narrow the union, because any name may be a third party's. */
export function isScript(run: RunSpec): run is Extract<RunSpec, { readonly interpreter: string }> {
  return run.driver === "script";
}

/** What is allowed but may surprise, one sentence each. */
export function warningsOf(definition: Pick<TaskDefinition, "onLost" | "lostAfterSeconds">): string[] {
  if (definition.onLost !== "retry" || definition.lostAfterSeconds >= shortLossSeconds) return [];
  return [
    `onLost is retry with lostAfterSeconds ${definition.lostAfterSeconds}: an outage of the manager or the broker that is longer than this stops running work and starts it again elsewhere. A host that was suspended or paused may overlap with the new attempt.`,
  ];
}

function skeletonOf(run: RunSpec): RunSpec {
  const common = { ...run, stdin: null };
  if (run.driver === "exec") return { ...common, args: [] } as RunSpec;
  if (run.driver === "script") return { ...common, args: [], script: null, scriptBase64: null } as RunSpec;
  return { ...common, options: {} };
}

function checkDefinition(definition: TaskDefinition, workerLostAfterSeconds: number): void {
  const errors: FieldError[] = [];
  for (const [index, text] of definition.constraints.entries()) {
    const parsed = parseConstraint(text);
    if (!parsed.ok)
      errors.push({
        at: `/constraints/${index}`,
        message: `position ${parsed.position} of ${JSON.stringify(text)}: ${parsed.message}`,
      });
  }
  if (definition.onLost === "retry" && definition.lostAfterSeconds < workerLostAfterSeconds) {
    errors.push({
      at: "/lostAfterSeconds",
      message: `must be at least ${workerLostAfterSeconds} with onLost retry, the time after which a worker counts as lost`,
    });
  }
  const first = errors[0];
  if (first) throw problem("impossible", `${first.at}: ${first.message}`, { errors });
}
