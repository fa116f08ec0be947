/** Real processes of Muster for tests: each with a log file of its own, all ended with the one that started them. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compileCache } from "./compile-cache.ts";
import { until } from "./until.ts";

const root = resolve(import.meta.dirname, "../..");

export type Env = Readonly<Record<string, string>>;

/** One process of the system; its output is in `logFile`, which a failing test prints. */
export interface Member {
  readonly process: ChildProcess;
  readonly logFile: string;
  /** Settles with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
}

export class Members {
  readonly #folder: string;
  readonly #alive = new Set<Member>();

  /** `folder` is where the logs go; it is there. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Starts one of Muster's entry points in the repository's root; a second one of the same name adds to the same log.
   * `before`: what its command runs under, such as faketime(1).
   */
  spawn(name: string, args: readonly string[], env: Env, before: readonly string[] = []): Member {
    const logFile = join(this.#folder, `${name}.log`);
    const log = openSync(logFile, "a");
    const [program = "", ...rest] = [...before, process.execPath, ...args];
    const child = spawn(program, rest, {
      cwd: root,
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...compileCache, ...env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const exited = new Promise<number | string>((done) => child.once("exit", (code, signal) => done(signal ?? code ?? -1)));
    const member = { process: child, logFile, exited };
    this.#alive.add(member);
    void exited.then(() => this.#alive.delete(member));
    return member;
  }

  logOf(member: Member): string {
    return readFileSync(member.logFile, "utf8");
  }

  /** Waits for `look`; fails at once, with the end of its log, when the process that is waited for dies. */
  async whileAlive(member: Member, what: string, look: () => Promise<boolean>): Promise<void> {
    const dead = member.exited.then((how) => {
      throw new Error(`waiting for ${what}, but it ended (${how}):\n${this.logOf(member).slice(-3_000)}`);
    });
    dead.catch(() => undefined);
    await Promise.race([until(what, look, 30_000), dead]);
  }

  async kill(member: Member, signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    member.process.kill(signal);
    return await member.exited;
  }

  /** Kills all that live, also those that were stopped. */
  async killAll(): Promise<void> {
    const members = [...this.#alive];
    for (const member of members) member.process.kill("SIGKILL");
    await Promise.all(members.map((member) => member.exited));
  }
}
