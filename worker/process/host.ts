/**
 * Processes as the agent knows them: made by a small long-lived launcher under a shim that outlives the agent, found again
 * by (boot id, pid, start time). Linux and other POSIX systems: posix.ts; Windows: windows.ts.
 */
import type { ExitRecord, Deadlines, Found, ResultFound } from "../agent/types.ts";
import type { ProcessId } from "../agent/records.ts";
import type { Launch } from "../drivers/driver.ts";

export interface LaunchOrder {
  readonly attempt: string;
  readonly run: string;
  readonly launch: Launch;
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** Bytes of standard input; null: /dev/null. */
  readonly stdin: string | null;
  /** Absolute; null: the attempt's own fresh folder. */
  readonly workingDirectory: string | null;
  readonly user: string | null;
  readonly deadlines: Deadlines;
  readonly limits: { readonly logStreamBytes: number; readonly resultBytes: number };
}

/** What became of a launch; told to the listener, never thrown. */
export interface ProcessListener {
  started(event: { readonly attempt: string; readonly process: ProcessId; readonly startedWall: number }): void;
  notStarted(event: { readonly attempt: string; readonly how: "failedToStart" | "refused"; readonly why: string }): void;
  /** The shim is gone, leftovers are killed, the tree is empty (rule 25). The result file is read, not yet uploaded. */
  ended(event: {
    readonly attempt: string;
    readonly exit: ExitRecord;
    readonly termBefore: boolean;
    readonly timedOut: boolean;
    readonly fenced: boolean;
    readonly result: ResultFound | { readonly kind: "toUpload"; readonly file: string; readonly size: number };
    readonly endedWall: number;
  }): void;
  progress(event: { readonly attempt: string; readonly percent: number | null; readonly message: string | null }): void;
}

export interface ProcessHost extends AsyncDisposable {
  /** Whether the host enforces deadlines without the agent (rule 9). */
  readonly fences: boolean;
  /** Returns at once; the listener is told what becomes of it. Nothing of it runs unless `started` could be made. */
  launch(order: LaunchOrder): void;
  /** TERM to the group, unless the exit record is complete already. */
  terminate(attempt: string): void;
  /** KILL to the whole tree. */
  kill(attempt: string): void;
  signal(attempt: string, signal: string): void;
  setDeadlines(attempt: string, deadlines: Deadlines): void;
  /** After a restart: looks at each attempt and takes up those that are alive. `alive` ones reach the listener when they end. */
  recover(
    attempts: readonly {
      readonly attempt: string;
      readonly launchBootId: string | null;
      readonly limits: LaunchOrder["limits"];
    }[],
  ): Promise<Found[]>;
  /** The folder of an attempt, where `stdout` and `stderr` lie. */
  folderOf(attempt: string): string;
  /** Removes the attempt's folder. */
  remove(attempt: string): Promise<void>;
  /** Lets go of the launcher; processes go on. */
  [Symbol.asyncDispose](): Promise<void>;
}
