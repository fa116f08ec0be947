/** How many browser sessions are kept, where ten thousand of them are quickly made; `mariadb/credentials.test.ts` has the third store. */
import { expect, onTestFinished, test } from "vitest";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { migrationsOf } from "../../../manager/store/migrations.ts";
import { openSqliteFile } from "../../../manager/store/sqlite/file.ts";
import { sqliteSessions } from "../../../manager/store/sqlite/sessions.ts";
import type { SessionStore } from "../../../manager/store/store.ts";
import { apiLimits } from "../../../schema/limits.ts";

const start = 1_000_000_000_000;
const most = apiLimits.sessions;

/** `full` holds `s1`, used at `start` + 1, `s2` a millisecond later, and so on to the bound. */
async function keepsItsBound(full: SessionStore): Promise<void> {
  const now = start + apiLimits.sessionNotedMs + most;
  expect(await full.useSession("s1", now)).not.toBeNull();
  await full.beginSession("new", "h", now);
  expect(await full.useSession("s2", now)).toBeNull();
  for (const id of ["s1", "s3", `s${most}`, "new"]) expect(await full.useSession(id, now), id).not.toBeNull();
  // All the others are idle for too long by now: they go, and the bound takes nobody else.
  const later = start + apiLimits.sessionIdleMs + most;
  await full.beginSession("newer", "h", later);
  for (const id of ["s1", "new", "newer"]) expect(await full.useSession(id, later), id).not.toBeNull();
}

test("memory keeps as many sessions as the bound says; the longest unused gives way", async () => {
  const store = openMemoryStore();
  for (let n = 1; n <= most; n += 1) await store.beginSession(`s${n}`, "h", start + n);
  await keepsItsBound(store);
});

test("SQLite keeps as many sessions as the bound says; the longest unused gives way", async () => {
  const file = openSqliteFile(":memory:", 0);
  onTestFinished(() => file.close());
  for (const migration of migrationsOf("sqlite")) file.exec(migration.text);
  file.run(
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)" +
      " INSERT INTO sessions (id, token_hash, used_at, ends_at) SELECT 's' || n, 'h', ? + n, ? FROM n",
    [most, start, start + apiLimits.sessionMs],
  );
  await keepsItsBound(sqliteSessions(file));
  expect(file.get("SELECT COUNT(*) FROM sessions", [])).toEqual([5]);
});
