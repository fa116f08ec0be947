/**
 * A real MariaDB for tests: a private server with its own data folder, port and socket, as an unprivileged user also when the
 * tests are root's. It dies with the process that started it. A server costs half a second: share one in a file, with a
 * fresh database for each test.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { createConnection, type Connection } from "mysql2/promise";
import { freePorts } from "./ports.ts";
import { quickFolder } from "./quick-folder.ts";
import { until } from "./until.ts";

const programs = ["mariadbd", "mariadb-install-db", "setpriv"];

/** What a server is started with besides: Debian's own choices, a small log, and nothing that only tests would have. */
const defaults = [
  "--character-set-server=utf8mb4",
  "--collation-server=utf8mb4_general_ci",
  "--innodb-log-file-size=16M",
  "--innodb-buffer-pool-size=64M",
  "--skip-name-resolve",
  "--bind-address=127.0.0.1",
];

/** Why no MariaDB can be started here; undefined when one can. For `ctx.skip`. */
export function mariadbMissing(): string | undefined {
  const missing = programs.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
  return missing.length === 0 ? undefined : `not on this host: ${missing.join(", ")} (apt-get install mariadb-server util-linux)`;
}

export class MariadbServer implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** The account that databases are made for; its password needs percent signs in a URL. */
  readonly user = "muster";
  readonly password = "s/e:c@r%t";
  readonly #options: readonly string[];
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(port: number, options: readonly string[], under: string) {
    this.folder = folderIn(under);
    this.port = port;
    this.#options = options;
  }

  /** A running server. `options` are mariadbd's own, after ours; `under` is where its data lies: in memory, unless a disk is wanted. */
  static async start(options: readonly string[] = [], under = quickFolder()): Promise<MariadbServer> {
    const [port = 0] = await freePorts(1);
    const server = new MariadbServer(port, options, under);
    try {
      server.#install();
      await server.restart();
      await server.admin(`CREATE USER '${server.user}'@'%' IDENTIFIED BY '${server.password}'`);
      await server.admin(`GRANT ALL ON \`muster%\`.* TO '${server.user}'@'%'`);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Another server with the same data and accounts, made while this one does not run: what a replica is that was promoted. */
  async copy(options: readonly string[] = this.#options): Promise<MariadbServer> {
    const [port = 0] = await freePorts(1);
    const copy = new MariadbServer(port, options, dirname(this.folder));
    try {
      const { uid, gid } = unprivileged();
      if (uid !== undefined) chownSync(copy.folder, uid, gid ?? 0);
      execFileSync("cp", ["-a", join(this.folder, "data"), copy.folder]);
      await copy.restart();
      return copy;
    } catch (error) {
      await copy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The server's process id, for signals such as SIGSTOP. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Makes an empty database and returns the URL of it, for `MUSTER_DATABASE_URL`. */
  async database(): Promise<string> {
    this.#databases += 1;
    const name = `muster_${this.#databases}`;
    await this.admin(`CREATE DATABASE \`${name}\``);
    return `mysql://${this.user}:${encodeURIComponent(this.password)}@127.0.0.1:${this.port}/${name}`;
  }

  /** Runs one statement as root over a connection of its own; its rows as objects. */
  async admin(text: string, database?: string): Promise<any> {
    const connection = await this.connect(database);
    try {
      const [rows] = await connection.query(text);
      return rows;
    } finally {
      await connection.end();
    }
  }

  /** A connection as root; the caller ends it. */
  connect(database?: string): Promise<Connection> {
    return createConnection({ host: "127.0.0.1", port: this.port, user: "root", ...(database ? { database } : {}) });
  }

  /** Ends the server as a crash would: nothing is flushed. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts it on the same port and data, after `kill`. Resolves when it answers. */
  async restart(): Promise<void> {
    const log = join(this.folder, "log");
    const started = spawnUnprivileged("mariadbd", [
      "--no-defaults",
      `--datadir=${join(this.folder, "data")}`,
      `--socket=${join(this.folder, "socket")}`,
      `--pid-file=${join(this.folder, "pid")}`,
      // Of its own: a server that starts deletes the temporary tables of every other server that has the same one.
      `--tmpdir=${this.folder}`,
      `--log-error=${log}`,
      `--port=${this.port}`,
      ...defaults,
      ...this.#options,
    ]);
    this.#process = started;
    await until(`mariadbd to answer (${log})`, async () => {
      if (started.exitCode !== null || started.signalCode !== null)
        throw new Error(`mariadbd ended: ${existsSync(log) ? readFileSync(log, "utf8").slice(-2_000) : "before its log began"}`);
      return await this.admin("SELECT 1").then(
        () => true,
        () => false,
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  #install(): void {
    const data = join(this.folder, "data");
    mkdirSync(data);
    const { uid, gid } = unprivileged();
    for (const folder of [this.folder, data]) if (uid !== undefined) chownSync(folder, uid, gid ?? 0);
    const args = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db"];
    const made = spawnSync("mariadb-install-db", [...args, "--innodb-log-file-size=16M"], {
      ...unprivileged(),
      encoding: "utf8",
      cwd: this.folder,
      env: { ...process.env, TMPDIR: this.folder },
    });
    if (made.status !== 0) throw new Error(`mariadb-install-db failed: ${made.stdout}${made.stderr}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#process;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, "exit");
    running.kill(signal);
    await exited;
  }
}

/** A new folder; those of test processes that were killed before they could clean up go first. */
function folderIn(parent: string): string {
  for (const name of readdirSync(parent)) {
    const owner = /^muster-mariadb-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `muster-mariadb-${process.pid}-`));
}

/** mariadbd refuses to be root. Root's tests run it as `nobody`. */
function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string): number => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: idOf("-u"), gid: idOf("-g") };
}

/** setpriv: the kernel ends it with this process, however that ends. */
function spawnUnprivileged(program: string, args: readonly string[]): ChildProcess {
  const { uid, gid } = unprivileged();
  const as = uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  return spawn("setpriv", [...as, "--pdeathsig=KILL", "--", program, ...args], { stdio: "ignore" });
}
