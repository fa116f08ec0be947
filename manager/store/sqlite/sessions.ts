/** Browser sessions on SQLite. */
import { apiLimits } from "../../../schema/limits.ts";
import { idleSince, isAlive, isWorthNoting } from "../session-rows.ts";
import type { SessionRow, SessionStore } from "../store.ts";
import { storeErrorOf } from "./errors.ts";
import type { SqliteFile } from "./file.ts";

export function sqliteSessions(file: SqliteFile): SessionStore {
  const guard = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeErrorOf(error);
    }
  };
  return {
    beginSession: (id, tokenHash, now) =>
      guard(() => begin(file, { id, tokenHash, usedAt: now, endsAt: now + apiLimits.sessionMs })),
    useSession: (id, now) => guard(() => use(file, id, now)),
    endSession: (id) => guard(() => void file.run("DELETE FROM `sessions` WHERE `id` = ?", [id])),
  };
}

function begin(file: SqliteFile, session: SessionRow): SessionRow {
  file.transaction(() => {
    file.run("DELETE FROM `sessions` WHERE `used_at` <= ?", [idleSince(session.usedAt)]);
    const surplus = Number(file.get("SELECT COUNT(*) FROM `sessions`", [])?.[0]) - apiLimits.sessions + 1;
    if (surplus > 0) {
      const longestUnused = "SELECT `id` FROM `sessions` ORDER BY `used_at`, `id` LIMIT ?";
      file.run(`DELETE FROM \`sessions\` WHERE \`id\` IN (${longestUnused})`, [surplus]);
    }
    const { id, tokenHash, usedAt, endsAt } = session;
    return file.run("INSERT INTO `sessions` (`id`, `token_hash`, `used_at`, `ends_at`) VALUES (?, ?, ?, ?)", [
      id,
      tokenHash,
      usedAt,
      endsAt,
    ]);
  });
  return session;
}

function use(file: SqliteFile, id: string, now: number): SessionRow | null {
  const row = file.get("SELECT `token_hash`, `used_at`, `ends_at` FROM `sessions` WHERE `id` = ?", [id]);
  if (!row) return null;
  const session = { id, tokenHash: String(row[0]), usedAt: Number(row[1]), endsAt: Number(row[2]) };
  if (!isAlive(session, now)) return null;
  if (isWorthNoting(session, now)) file.run("UPDATE `sessions` SET `used_at` = ? WHERE `id` = ?", [now, id]);
  return session;
}
