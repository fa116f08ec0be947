import * as z from "zod";
import { requestLimits } from "./limits.ts";

/** What `id` is held to. */
export const idPattern = new RegExp(`^[A-Za-z0-9_-]{1,${requestLimits.idChars}}$`);

/**
 * An id of anything: a topic level, a file name and a column at once, hence no `/`, `+`, `#`, `.`, `$` or space.
 * Forty bytes is the shortest topic level that a broker in the field allows.
 */
export const id = z.string().regex(idPattern, `must be 1 to ${requestLimits.idChars} characters of A-Z a-z 0-9 _ -`);

/** The word before a colon in a name list: labels, parameters, environment. */
export const envName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, "must be a letter or _ and then at most 62 letters, digits or _");

export type TaskId = string;
export type RunId = string;
export type AttemptId = string;
export type WorkerId = string;
export type PoolName = string;

export const defaultPool: PoolName = "default";

/** The username of the manager's own connection; no worker may have it. */
export const managerUsername = "manager";

/** One life of a worker's agent: `journal` is drawn when its journal file is made, `n` counts agent starts on it (rule 1). */
export interface Epoch {
  readonly journal: string;
  readonly n: number;
  readonly nonce: string;
}

const epochPattern = /^([A-Za-z0-9_-]{12})\.([0-9]{1,9})\.([A-Za-z0-9_-]{12})$/;

/** On the wire an epoch is the string `journal.n.nonce`. */
export const epochText = z.string().regex(epochPattern, "must be journal.n.nonce");

/** The wire's text of an epoch. */
export function formatEpoch(epoch: Epoch): string {
  return `${epoch.journal}.${epoch.n}.${epoch.nonce}`;
}

/** Reads `journal.n.nonce`; throws when it is not one (parse with `epochText` at the door). */
export function parseEpoch(text: string): Epoch {
  const parts = epochPattern.exec(text);
  if (!parts) throw new Error(`not an epoch: ${JSON.stringify(text)}`);
  return { journal: parts[1] as string, n: Number(parts[2]), nonce: parts[3] as string };
}
