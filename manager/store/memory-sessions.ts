import { apiLimits } from "../../schema/limits.ts";
import { idleSince, isAlive, isWorthNoting } from "./session-rows.ts";
import type { SessionRow, SessionStore } from "./store.ts";

/** Browser sessions that end with the process. */
export function memorySessions(): SessionStore {
  // In the order of their noted uses.
  const rows = new Map<string, SessionRow>();
  return {
    beginSession: async (id, tokenHash, now) => {
      for (const row of rows.values()) {
        // Whoever comes later was used later.
        if (row.usedAt > idleSince(now)) break;
        rows.delete(row.id);
      }
      const [longestUnused] = rows.keys();
      if (rows.size >= apiLimits.sessions && longestUnused !== undefined) rows.delete(longestUnused);
      const row = { id, tokenHash, usedAt: now, endsAt: now + apiLimits.sessionMs };
      rows.set(id, row);
      return row;
    },
    useSession: async (id, now) => {
      const row = rows.get(id);
      if (!row || !isAlive(row, now)) return null;
      if (isWorthNoting(row, now)) {
        rows.delete(id);
        rows.set(id, { ...row, usedAt: now });
      }
      return row;
    },
    endSession: async (id) => {
      rows.delete(id);
    },
  };
}
