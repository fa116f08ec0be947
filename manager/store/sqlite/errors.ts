import { CommitFailed } from "./file.ts";
import { StoreError } from "../store.ts";

/** SQLite's primary result codes that say something of the rows themselves (https://sqlite.org/rescode.html). */
const permanentCodes: ReadonlyMap<number, string> = new Map([
  [18, "too large"],
  [19, "against a constraint"],
  [20, "of the wrong type"],
]);

/** Those that pass: busy, locked, out of memory, read-only, interrupted, I/O, full, cannot open, protocol. */
const transientCodes: ReadonlyMap<number, string> = new Map([
  [5, "is busy"],
  [6, "is locked"],
  [7, "is out of memory"],
  [8, "is read-only"],
  [9, "was interrupted"],
  [10, "met an I/O error"],
  [13, "is full (or its disk is)"],
  [14, "cannot be opened"],
  [15, "is locked by another process"],
]);

/**
 * What an error of SQLite means (rule 19). Codes that are not classified come back as they are: whoever commits counts
 * them, and the third time is permanent. A `COMMIT` that failed with an I/O error may still be found in the log after a
 * crash, so its outcome is unknown; every other failure was rolled back.
 */
export function storeErrorOf(error: unknown): unknown {
  if (error instanceof StoreError) return error;
  const outcomeKnown = !causes(error).some((cause) => cause instanceof CommitFailed);
  for (const cause of causes(error)) {
    const { errcode, code, message } = cause as { errcode?: unknown; code?: unknown; message?: string };
    if (typeof errcode === "number") return byResultCode(errcode & 0xff, message ?? "", outcomeKnown, error);
    if (code === "ERR_INVALID_STATE") return new StoreError("transient", true, "The database is closed.", { cause: error });
    // node:sqlite refuses a value before SQLite sees it: an object, an integer beyond 64 bits, undefined.
    if (code === "ERR_INVALID_ARG_TYPE" || code === "ERR_INVALID_ARG_VALUE" || code === "ERR_OUT_OF_RANGE") {
      return new StoreError("permanent", true, `A value cannot be stored: ${message}`, { cause: error });
    }
  }
  return error;
}

/** The file is no database, or a broken one (SQLITE_CORRUPT, SQLITE_NOTADB): what only a backup mends. */
export function isMalformed(error: unknown): boolean {
  return causes(error).some((cause) => [11, 26].includes(Number((cause as { errcode?: unknown }).errcode) & 0xff));
}

function byResultCode(code: number, message: string, outcomeKnown: boolean, cause: unknown): unknown {
  const permanent = permanentCodes.get(code);
  if (permanent) return new StoreError("permanent", true, `A row is ${permanent}: ${message}`, { cause });
  const transient = transientCodes.get(code);
  // Only an I/O error leaves it open; a full disk or a busy file is found before the commit record is written.
  if (transient)
    return new StoreError("transient", outcomeKnown || code !== 10, `The database ${transient}: ${message}`, { cause });
  return cause;
}

/** The error and what caused it, outermost first. Bounded, because a cause may be its own. */
function causes(error: unknown): object[] {
  const chain: object[] = [];
  for (let at = error; typeof at === "object" && at !== null && chain.length < 8; at = (at as { cause?: unknown }).cause)
    chain.push(at);
  return chain;
}
