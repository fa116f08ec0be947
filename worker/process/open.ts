import { platform } from "node:os";
import type { ProcessHost } from "./host.ts";
import { openPosixHost, type ProcessHostOptions } from "./posix.ts";
import { openWindowsHost } from "./windows.ts";

/** The process host of this system. Throws a sentence when it has none. */
export function openProcessHost(options: ProcessHostOptions): Promise<ProcessHost> {
  return platform() === "win32" ? openWindowsHost(options) : openPosixHost(options);
}
