/** Browser sessions on MariaDB, by its clock alone: managers of several hosts share them. */
import { apiLimits } from "../../../schema/limits.ts";
import { isAlive, isWorthNoting } from "../session-rows.ts";
import type { SessionRow, SessionStore } from "../store.ts";
import type { Connections } from "./connection.ts";

/** Without an argument it is the true time, whatever the time zone of the session makes of a repeated hour. */
const nowMs = "UNIX_TIMESTAMP() * 1000";

export function mariadbSessions(connections: Connections): SessionStore {
  return {
    beginSession: (id, tokenHash) => begin(connections, id, tokenHash),
    useSession: (id) => use(connections, id),
    endSession: async (id) => {
      await connections.session((session) => session.query("DELETE FROM `sessions` WHERE `id` = ?", [id]));
    },
  };
}

/** Each statement is a transaction of its own: between any two of them all that is there is true. */
async function begin(connections: Connections, id: string, tokenHash: string): Promise<SessionRow> {
  return await connections.session(async (session) => {
    await session.query(`DELETE FROM \`sessions\` WHERE \`used_at\` <= ${nowMs} - ?`, [apiLimits.sessionIdleMs]);
    const [counted = []] = (await session.query("SELECT COUNT(*) FROM `sessions`")).rows;
    const surplus = Number(counted[0]) - apiLimits.sessions + 1;
    if (surplus > 0) await session.query("DELETE FROM `sessions` ORDER BY `used_at`, `id` LIMIT ?", [surplus]);
    const insert = `INSERT INTO \`sessions\` (\`id\`, \`token_hash\`, \`used_at\`, \`ends_at\`) VALUES (?, ?, ${nowMs}, ${nowMs} + ?)`;
    await session.query(insert, [id, tokenHash, apiLimits.sessionMs]);
    const [row = []] = (await session.query("SELECT `used_at`, `ends_at` FROM `sessions` WHERE `id` = ?", [id])).rows;
    return { id, tokenHash, usedAt: Number(row[0]), endsAt: Number(row[1]) };
  });
}

async function use(connections: Connections, id: string): Promise<SessionRow | null> {
  const text = `SELECT \`token_hash\`, \`used_at\`, \`ends_at\`, ${nowMs} FROM \`sessions\` WHERE \`id\` = ?`;
  const [row] = await connections.read(text, [id]);
  if (!row) return null;
  const [usedAt, endsAt, now] = row.slice(1).map(Number) as [number, number, number];
  const session = { id, tokenHash: String(row[0]), usedAt, endsAt };
  if (!isAlive(session, now)) return null;
  if (isWorthNoting(session, now)) {
    const note = `UPDATE \`sessions\` SET \`used_at\` = ${nowMs} WHERE \`id\` = ?`;
    // The session holds all the same, also on a server that takes no writes now; the next use is noted.
    await connections.session((on) => on.query(note, [id])).catch(() => undefined);
  }
  return session;
}
