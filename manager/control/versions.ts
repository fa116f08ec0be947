/** A task version made ready for placing: its constraints parsed, its sizes known, its parts of a start item at hand. */
import { parseConstraint, type Constraint } from "../../schema/constraint.ts";
import type { RunSpec, TaskDefinition } from "../../schema/task.ts";
import type { TaskVersionRecord } from "./records.ts";

export interface Requires {
  readonly slots: number;
  readonly memoryMb: number;
  readonly cpus: number;
}

export interface CompiledVersion {
  readonly record: TaskVersionRecord;
  readonly definition: TaskDefinition;
  readonly constraints: readonly Constraint[];
  readonly driver: string;
  /** Only for scripts: the interpreter that the worker must have. */
  readonly interpreter: string | null;
  /** Bytes that spec and env take of a start item; 0 when they travel as a body. */
  readonly inlineBytes: number;
}

/** Constraints were checked when the version was made; one that cannot be read any more holds nowhere. */
const nowhere: Constraint = { test: "in", subject: { kind: "text", name: "worker", key: "worker" }, values: [] };

export function compileVersion(record: TaskVersionRecord): CompiledVersion {
  const { definition } = record;
  const run: RunSpec = definition.run;
  return {
    record,
    definition,
    constraints: definition.constraints.map((text) => {
      const parsed = parseConstraint(text);
      return parsed.ok ? parsed.constraint : nowhere;
    }),
    driver: run.driver,
    interpreter: isScript(run) ? run.interpreter : null,
    inlineBytes: record.body ? 0 : Buffer.byteLength(JSON.stringify({ spec: run, env: definition.env })),
  };
}

function isScript(run: RunSpec): run is Extract<RunSpec, { driver: "script" }> {
  return run.driver === "script";
}
