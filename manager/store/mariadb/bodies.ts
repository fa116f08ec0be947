/** Large bytes and secrets on MariaDB. A body is cut into parts, so that no statement is large beside `max_allowed_packet`. */
import { randomBytes } from "node:crypto";
import { storeLimits } from "../../../schema/limits/store.ts";
import { StoreError, type BodyStore } from "../store.ts";
import type { Connections, Session } from "./connection.ts";

export function mariadbBodies(connections: Connections): BodyStore {
  return {
    putBody: (sha256, bytes) => putBody(connections, sha256, bytes),
    getBody: async (sha256) => {
      const parts = await connections.read("SELECT `bytes` FROM `bodies` WHERE `sha256` = ? ORDER BY `part`", [sha256]);
      return parts.length === 0 ? null : Buffer.concat(parts.map((row) => row[0] as Uint8Array));
    },
    secret: async (name) => {
      const read = async (): Promise<Uint8Array | undefined> =>
        (await connections.read("SELECT `value` FROM `secrets` WHERE `name` = ?", [name]))[0]?.[0] as Uint8Array | undefined;
      const known = await read();
      if (known) return known;
      const made = randomBytes(32);
      try {
        await connections.session((session) =>
          session.query("INSERT INTO `secrets` (`name`, `value`) VALUES (?, ?)", [name, made]),
        );
        return made;
      } catch (error) {
        // Another manager made it meanwhile, and that one stands.
        const theirs = isPermanent(error) ? await read() : undefined;
        if (theirs) return theirs;
        throw error;
      }
    },
  };
}

/** All parts are written in one transaction, so the first one stands for all. An empty body is one empty part. */
async function putBody(connections: Connections, sha256: string, bytes: Uint8Array): Promise<void> {
  const isThere = async (): Promise<boolean> =>
    (await connections.read("SELECT 1 FROM `bodies` WHERE `sha256` = ? AND `part` = 0", [sha256])).length > 0;
  for (let again = true; !(await isThere()); again = false) {
    try {
      await connections.session((session) => insertParts(session, sha256, bytes));
      return;
    } catch (error) {
      // Another manager, or another request of this one, wrote the same bytes meanwhile.
      if (isPermanent(error) && (await isThere())) return;
      // A process that stood still for seconds between two parts finds its transaction ended by the server.
      if (isPermanent(error) || !again) throw error;
    }
  }
}

async function insertParts(session: Session, sha256: string, bytes: Uint8Array): Promise<void> {
  const partBytes = storeLimits.bodyPartBytes;
  const parts = Math.max(1, Math.ceil(bytes.length / partBytes));
  await session.query("START TRANSACTION");
  for (let part = 0; part < parts; part += 1) {
    const slice = bytes.subarray(part * partBytes, (part + 1) * partBytes);
    await session.query("INSERT INTO `bodies` (`sha256`, `part`, `bytes`) VALUES (?, ?, ?)", [sha256, part, slice]);
  }
  await session.query("COMMIT");
}

function isPermanent(error: unknown): boolean {
  return error instanceof StoreError && error.kind === "permanent";
}
