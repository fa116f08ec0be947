/** Large bytes and secrets on SQLite. A body is cut into parts, so that no single row is large in either database. */
import { randomBytes } from "node:crypto";
import { storeLimits } from "../../../schema/limits/store.ts";
import { storeErrorOf } from "./errors.ts";
import type { SqliteFile } from "./file.ts";
import type { BodyStore } from "../store.ts";

export function sqliteBodies(file: SqliteFile): BodyStore {
  const guard = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeErrorOf(error);
    }
  };
  return {
    putBody: (sha256, bytes) => guard(() => putBody(file, sha256, bytes)),
    getBody: (sha256) =>
      guard(() => {
        const parts = file.all("SELECT `bytes` FROM `bodies` WHERE `sha256` = ? ORDER BY `part`", [sha256]);
        return parts.length === 0 ? null : Buffer.concat(parts.map((row) => row[0] as Uint8Array));
      }),
    secret: (name) =>
      guard(() => {
        const read = (): Uint8Array | undefined =>
          file.get("SELECT `value` FROM `secrets` WHERE `name` = ?", [name])?.[0] as Uint8Array | undefined;
        const known = read();
        if (known) return known;
        const made = randomBytes(32);
        file.run("INSERT INTO `secrets` (`name`, `value`) VALUES (?, ?)", [name, made]);
        return made;
      }),
  };
}

/** All parts are written in one transaction, so the first one stands for all. An empty body is one empty part. */
function putBody(file: SqliteFile, sha256: string, bytes: Uint8Array): void {
  if (file.get("SELECT 1 FROM `bodies` WHERE `sha256` = ? AND `part` = 0", [sha256])) return;
  const partBytes = storeLimits.bodyPartBytes;
  const parts = Math.max(1, Math.ceil(bytes.length / partBytes));
  file.transaction(() => {
    for (let part = 0; part < parts; part += 1) {
      const slice = bytes.subarray(part * partBytes, (part + 1) * partBytes);
      file.run("INSERT INTO `bodies` (`sha256`, `part`, `bytes`) VALUES (?, ?, ?)", [sha256, part, slice]);
    }
    return true;
  });
}
