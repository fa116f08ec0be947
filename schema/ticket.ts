/**
 * Tickets: what lets one worker fetch one body, or put one attempt's result, over HTTP. The signature is an HMAC with a key
 * that lies in the store, so that any manager can check a ticket which another one gave.
 */
import type { AttemptId, WorkerId } from "./ids.ts";

/** `get` a body by its SHA-256, or `put` a result of at most `maxBytes`. */
export type TicketGrant =
  | { readonly direction: "get"; readonly worker: WorkerId; readonly attempt: AttemptId; readonly sha256: string }
  | { readonly direction: "put"; readonly worker: WorkerId; readonly attempt: AttemptId; readonly maxBytes: number };

const ticketPattern =
  /^(get|put)\.([A-Za-z0-9_-]{1,36})\.([A-Za-z0-9_-]{1,36})\.([0-9a-f]{64}|[0-9]{1,15})\.([A-Za-z0-9_-]{1,128})$/;

/** The text that is signed: `get\n<worker>\n<attempt>\n<sha256>` or `put\n<worker>\n<attempt>\n<maxBytes>`. */
export function ticketText(grant: TicketGrant): string {
  return [grant.direction, grant.worker, grant.attempt, boundOf(grant)].join("\n");
}

/** The ticket itself, `<direction>.<worker>.<attempt>.<sha256 or maxBytes>.<signature>`; `sign` gives base64url. */
export function buildTicket(grant: TicketGrant, sign: (text: string) => string): string {
  return [grant.direction, grant.worker, grant.attempt, boundOf(grant), sign(ticketText(grant))].join(".");
}

/**
 * Reads a ticket; undefined when it is not one. The signature is not checked here: compare `signature` with the HMAC of
 * `ticketText(grant)` in constant time.
 */
export function parseTicket(ticket: string): { readonly grant: TicketGrant; readonly signature: string } | undefined {
  const parts = ticketPattern.exec(ticket);
  if (!parts) return undefined;
  const [, direction, worker, attempt, bound, signature] = parts as unknown as [string, string, string, string, string, string];
  if (direction === "get" && bound.length === 64) return { grant: { direction, worker, attempt, sha256: bound }, signature };
  if (direction === "put" && bound.length <= 15)
    return { grant: { direction, worker, attempt, maxBytes: Number(bound) }, signature };
  return undefined;
}

function boundOf(grant: TicketGrant): string {
  return grant.direction === "get" ? grant.sha256 : String(grant.maxBytes);
}
