/** What the files of an attempt say of its end, once nothing of it runs any more. */
import { constants } from "node:os";
import { boundedSentence } from "../../schema/end.ts";
import type { ExitRecord } from "../agent/types.ts";
import { hasSignalMark, readTerm, type ExitRecordRead } from "./records.ts";
import { shellError } from "./stderr.ts";

export interface EndRead {
  readonly exit: ExitRecord;
  /** The agent sent the first TERM or KILL, and the exit record was not complete then. */
  readonly termBefore: boolean;
  readonly timedOut: boolean;
  readonly fenced: boolean;
  /** When the shim wrote it; undefined when it did not. */
  readonly endedWall: number | undefined;
}

/**
 * What `exit` and the marks beside it say. For an attempt whose tree is empty: blanks are no news then, but the end of it.
 * `marked`: whether there may be marks.
 */
export function readEnd(folder: string, record: ExitRecordRead, marked: boolean): EndRead {
  const by = marked ? readTerm(folder) : undefined;
  return {
    exit: exitOf(record, folder, by !== undefined),
    termBefore: by === "agent",
    timedOut: by === "timedOut",
    fenced: by === "fenced",
    endedWall: record.is === "complete" ? record.wall : undefined,
  };
}

function exitOf(record: ExitRecordRead, folder: string, termed: boolean): ExitRecord {
  switch (record.is) {
    case "complete": {
      // In sh, `exit 143` and TERM look alike: only a signal that was asked for through us is called one (rule 24).
      const signal = signalOfCode(record.code);
      if (signal !== undefined && hasSignalMark(folder, signal)) return { read: "signal", signal };
      return { read: "code", code: record.code };
    }
    case "blank":
      // KILL to the group took the shim too, so nobody was left to write; both ways to it leave a mark first.
      if (termed || hasSignalMark(folder, "SIGKILL")) return { read: "signal", signal: "SIGKILL" };
      return { read: "unreadable", why: "its shim ended without an exit record; somebody else may have killed it" };
    case "unreadable":
      return { read: "unreadable", why: record.why };
    case "norun":
      return { read: "unreadable", why: "its program was not executed" };
  }
}

function signalOfCode(code: number): string | undefined {
  if (code <= 128) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
}

/** Why the program was never executed, be it by the shim's record or by the shell's own last words; undefined when it was. */
export function notExecuted(
  exit: ExitRecordRead,
  folder: string,
): { readonly how: "failedToStart" | "refused"; readonly why: string } | undefined {
  const shellsCode = exit.is === "complete" && (exit.code === 126 || exit.code === 127);
  if (exit.is !== "norun" && !shellsCode) return undefined;
  const said = shellError(`${folder}/stderr`);
  if (said === undefined && shellsCode) return undefined;
  const why = boundedSentence(`the program could not be executed: ${said ?? "the shell gave no reason"}`);
  return { how: "failedToStart", why };
}
