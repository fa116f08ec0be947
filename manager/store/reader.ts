import type { SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";
import type * as tables from "./tables/sqlite.ts";

/**
 * What the lists read from. The types are SQLite's; drizzle's selects are the same on MariaDB, whose database and tables
 * (same names, same columns) stand in by a cast.
 */
export interface Reader {
  readonly db: SqliteRemoteDatabase;
  readonly tables: typeof tables;
  /**
   * Names the index that serves a list; to be spread behind the table in `from`. MariaDB, left to choose, takes an equality for
   * a lookup and walks all of its rows from one end, however far off the page is. SQLite chooses well by itself.
   */
  readonly by: (index: string) => [];
}
