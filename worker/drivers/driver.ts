import type { Facts } from "../../schema/worker.ts";

/** A file that is written into the attempt's folder before the process starts. */
export interface DriverFile {
  /** A plain file name, no folders. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

/** The process to start: a program with its arguments, never a shell line. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly files: readonly DriverFile[];
  /** Added to the process's environment, below the task's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** Why it cannot be started: a sentence for people; the attempt ends `failedToStart{why}`. */
export interface CannotLaunch {
  readonly why: string;
}

/** What a driver may know of the host. */
export interface DriverHost {
  readonly facts: Facts;
  /** Absolute path of a found interpreter, such as `python` → /usr/bin/python3; undefined when the host has none. */
  interpreter(name: string): string | undefined;
  /** Absolute path of the attempt's folder, where `files` will lie. */
  readonly folder: string;
}

/**
 * Turns the run part of a task into a process. Pure: it builds a command and touches nothing; standard input, the working
 * directory, the user, output, limits and signals are the agent's business and are the same for every driver.
 */
export interface Driver {
  readonly name: string;
  /** `spec` is the task's `run` object, already valid against the task's schema; `options` of a third party's driver are for it to check. */
  prepare(spec: Readonly<Record<string, unknown>>, host: DriverHost): Launch | CannotLaunch;
}
