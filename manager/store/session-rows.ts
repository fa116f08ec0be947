/** When a browser's session has ended, for every store alike. */
import { apiLimits } from "../../schema/limits.ts";
import type { SessionRow } from "./store.ts";

/** A session whose last written use is not after this is idle for too long; `now` and the result are wall ms. */
export function idleSince(now: number): number {
  return now - apiLimits.sessionIdleMs;
}

/** Whether the session holds at `now`, wall ms. */
export function isAlive(session: SessionRow, now: number): boolean {
  return session.endsAt > now && session.usedAt > idleSince(now);
}

/** Whether a use at `now` is worth a write: not each one is, because a page asks often. */
export function isWorthNoting(session: SessionRow, now: number): boolean {
  return now - session.usedAt >= apiLimits.sessionNotedMs;
}
