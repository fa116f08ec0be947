import { homedir } from "node:os";
import { systemPath } from "./who.ts";

/** The names that every process has, whatever its task says; a task's env may replace each. */
export interface BaseEnvironment {
  readonly PATH: string;
  readonly HOME: string;
  readonly LANG: string;
  readonly TZ: string;
}

/**
 * What a process gets when nothing else is said: the system's PATH, the home of its user, C.UTF-8, and the host's time zone.
 * Nothing of the agent's own environment is in it: that may hold the worker's password.
 */
export function defaultEnvironment(): BaseEnvironment {
  return { PATH: systemPath, HOME: homedir(), LANG: "C.UTF-8", TZ: Intl.DateTimeFormat().resolvedOptions().timeZone };
}
