/** The tables of who may come in, which MariaDB alone has: beside SQLite it is a file. `../mariadb/credentials.ts` uses them. */
import { bigint, mysqlTable, varchar } from "drizzle-orm/mysql-core";
import type { ClientRole } from "../../../broker/access.ts";
import { requestLimits } from "../../../schema/limits.ts";

const id = (column: string) => varchar(column, { length: requestLimits.idChars });

/** Tokens of the API: hashes only. A name may have several. */
export const tokens = mysqlTable("tokens", {
  hash: varchar("hash", { length: requestLimits.nameChars }).notNull().primaryKey(),
  name: id("name").notNull(),
});

/** Clients of the broker. */
export const clients = mysqlTable("clients", {
  username: id("username").notNull().primaryKey(),
  hash: varchar("hash", { length: requestLimits.sentenceChars }).notNull(),
  pool: id("pool").notNull(),
  role: id("role").notNull().$type<ClientRole>(),
});

/** One row, whose version rises with every change: whoever changes locks it, whoever reads asks it for news. */
export const credentialChanges = mysqlTable("credential_changes", {
  id: bigint("id", { mode: "number" }).notNull().primaryKey(),
  version: bigint("version", { mode: "number" }).notNull(),
});

/** Files that were taken over, so that an old copy of one brings back nothing that was revoked since. */
export const credentialFiles = mysqlTable("credential_files", {
  sha256: varchar("sha256", { length: 64 }).notNull().primaryKey(),
});
