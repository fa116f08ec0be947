import { addClient, listNames } from "./credentials.ts";
import { defaultPool, managerUsername } from "../schema/ids.ts";

/**
 * Makes sure that a manager can come in: a stand-alone broker whose credentials know none gets one. Returns its password, to
 * be shown once; undefined when there is a manager already.
 */
export function ensureManagerClient(file: string): string | undefined {
  if (listNames(file).clients.some((client) => client.role === "manager")) return undefined;
  return addClient(file, { username: managerUsername, pool: defaultPool, role: "manager" });
}
