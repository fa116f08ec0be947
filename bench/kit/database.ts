/** The databases under measurement, and what they hold afterwards. */
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MariadbServer } from "../../test/kit/mariadb.ts";
import { treeCpuMs } from "./cpu.ts";
import { adoptFolder, makeFolder, removeFolder } from "./folders.ts";

type Row = Readonly<Record<string, string | number | null>>;

export interface Database {
  readonly name: string;
  /** Makes an empty database and returns its URL for `MUSTER_DATABASE_URL`. */
  fresh(): Promise<string>;
  /** Rows of one statement in the newest database. */
  rows(sql: string): Promise<readonly Row[]>;
  /** Runs statements in the newest database over one connection. */
  all(statements: readonly string[]): Promise<void>;
  /** Forgets the newest database. */
  drop(): Promise<void>;
  /** Of its own process, when it has one. */
  pid(): number | undefined;
  cpuMs(): number;
  close(): Promise<void>;
}

/** SQLite as it is by default: WAL and `synchronous=FULL`, in the manager's process. */
export function sqlite(): Database {
  let folder: string | undefined;
  const file = (): string => join(folder!, "muster.db");
  const drop = async (): Promise<void> => {
    if (folder !== undefined) removeFolder(folder);
    folder = undefined;
  };
  return {
    name: "SQLite",
    async fresh() {
      await drop();
      folder = makeFolder();
      return `sqlite:${file()}`;
    },
    async rows(sql) {
      const database = new DatabaseSync(file(), { timeout: 10_000 });
      try {
        return database.prepare(sql).all() as unknown as Row[];
      } finally {
        database.close();
      }
    },
    async all(statements) {
      const database = new DatabaseSync(file(), { timeout: 10_000 });
      try {
        for (const text of statements) database.exec(text);
      } finally {
        database.close();
      }
    },
    drop,
    pid: () => undefined,
    cpuMs: () => 0,
    close: drop,
  };
}

/** A private MariaDB with `innodb_flush_log_at_trx_commit=1`, which is its default, and room enough for what is measured. */
export function mariadb(): Database {
  let server: MariadbServer | undefined;
  let url = "";
  return {
    name: "MariaDB",
    async fresh() {
      server ??= await MariadbServer.start(
        [
          "--innodb-flush-log-at-trx-commit=1",
          "--innodb-buffer-pool-size=2G",
          "--innodb-log-file-size=1G",
          "--max-allowed-packet=64M",
        ],
        // On the disk that SQLite lies on as well: what an fsync costs is part of what is measured.
        tmpdir(),
      );
      adoptFolder(server.folder);
      url = await server.database();
      return url;
    },
    async rows(sql) {
      const connection = await createConnection({ uri: url, supportBigNumbers: true });
      try {
        return (await connection.query<RowDataPacket[]>(sql))[0];
      } finally {
        await connection.end();
      }
    },
    async all(statements) {
      const connection = await createConnection({ uri: url });
      try {
        for (const text of statements) await connection.query(text);
      } finally {
        await connection.end();
      }
    },
    async drop() {
      const name = new URL(url || "mysql://host/").pathname.slice(1);
      if (name !== "") await server?.admin(`DROP DATABASE IF EXISTS \`${name}\``);
    },
    pid: () => server?.pid,
    cpuMs: () => (server ? treeCpuMs(server.pid) : 0),
    async close() {
      await server?.[Symbol.asyncDispose]();
      server = undefined;
    },
  };
}
