import type { Deadlines, ExitRecord, ResultFound } from "../../worker/agent/types.ts";
import type { Witnessed } from "./witness.ts";

/** The files beside one attempt, and its process. */
export interface HostAttempt {
  readonly attempt: string;
  readonly bootId: string;
  /** `void`: somebody else made `started` before the shim could (rule 23). */
  started: "no" | "void" | "yes";
  process: Witnessed | undefined;
  pid: number;
  startedWall: number;
  /** Its program could not be executed. */
  failed: boolean;
  exit: { readonly record: ExitRecord; readonly result: ResultFound } | undefined;
  /** The agent that lives has been told of the end. */
  told: boolean;
  /** Who made the `term` mark. */
  term: "agent" | "timedOut" | "fenced" | null;
  readonly deaf: boolean;
  deadlines: Deadlines;
  launchedMs: number;
}

/** What the host can tell of how it was ended. */
export function marksOf({ term }: HostAttempt): {
  readonly termBefore: boolean;
  readonly timedOut: boolean;
  readonly fenced: boolean;
} {
  return { termBefore: term === "agent", timedOut: term === "timedOut", fenced: term === "fenced" };
}
